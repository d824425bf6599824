"""Every set of audio the study measures on, by name.

tones(which)    background, test1, test2 of ``gen_audio``; made in memory.
instruments()   notes of General MIDI instruments, rendered offline: the set that is always
                there. 80 notes a second on one core.
rated(name)     audio of several systems with listeners' ratings; local folders only.
folder(path)    any folder of audio, folders in it being labels.
table(path)     a CSV file of paths and labels.
digits()        Free Spoken Digit Dataset, 3,000 recordings; a download.
sounds()        ESC-10, 400 recordings; a download.
"""

from study.datasets.audio_set import AudioSet, MissingData, folder, table
from study.datasets.ratings import RATED, RatedSet, rated, rated_names
from study.datasets.recordings import ENVIRONMENT, available, digits, download, main, sounds
from study.datasets.rendered import FAMILIES, INSTRUMENT_RATE, instruments, note, tones

__all__ = [
    "ENVIRONMENT",
    "FAMILIES",
    "INSTRUMENT_RATE",
    "RATED",
    "AudioSet",
    "MissingData",
    "RatedSet",
    "available",
    "digits",
    "download",
    "folder",
    "instruments",
    "main",
    "note",
    "rated",
    "rated_names",
    "sounds",
    "table",
    "tones",
]
