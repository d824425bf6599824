"""What the study measures with: sets of audio by name, and damage to them.

    >>> from study import datasets
    >>> notes = datasets.instruments()            # 128 notes, rendered here: always there
    >>> mine = datasets.folder("recordings")      # one's own; folders in it are labels

Sets
    tones(which)    background, test1, test2 of ``gen_audio``; made in memory.
    instruments()   notes of General MIDI instruments, rendered offline: the set that is always
                    there. 80 notes a second on one core.
    digits()        Free Spoken Digit Dataset, 3,000 recordings; a download.
    sounds()        ESC-10, 400 recordings; a download.
    rated(name)     audio of several systems with listeners' ratings; local folders only.
    folder(path)    any folder of audio, folders in it being labels.
    table(path)     a CSV file of paths and labels.
All are an ``AudioSet``, or, with ratings, a ``RatedSet`` of several: ``audio_set`` has the conventions.

What is there
    available(name)    whether a set can be loaded on this machine.
    files(name)        the files of a set of recordings, for who reads them otherwise.
    fingerprint(name)  their source, number and checksum, as kept with every result.
    download(name)     brings a set: nothing is downloaded unless asked for.
A set that is not there, or not all there, raises ``MissingData``, whose message says how to bring it.

Modules of their own: ``distortions`` (graded damage to a signal, damage to a set) and ``synthetic``
(seeded one-second windows, from which the distance's constants are made). Collections of music are files:
``songs`` (rendered here: always there, tempo, key and artist known) and ``packaged`` (that packages carry).
"""

from study.datasets.audio_set import AudioSet, MissingData, folder, table
from study.datasets.ratings import FOLDERS as RATED_FOLDERS
from study.datasets.ratings import RATED, RatedSet, rated, rated_names
from study.datasets.recordings import ENVIRONMENT, available, digits, download, files, fingerprint, sounds
from study.datasets.rendered import FAMILIES, INSTRUMENT_RATE, instruments, note, tones

__all__ = [
    "ENVIRONMENT",
    "FAMILIES",
    "INSTRUMENT_RATE",
    "RATED",
    "RATED_FOLDERS",
    "AudioSet",
    "MissingData",
    "RatedSet",
    "available",
    "digits",
    "download",
    "files",
    "fingerprint",
    "folder",
    "instruments",
    "note",
    "rated",
    "rated_names",
    "sounds",
    "table",
    "tones",
]
