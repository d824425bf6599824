"""Every figure of the report by name."""

from __future__ import annotations

from report.figures import autoencoders, challenge, classifier, listening, regressions, songs, trials

FIGURES = {  # file below figures/ -> the result it is drawn from, and the function
    "challenge": ("challenge", challenge.challenge),
    "real_audio": ("real_audio", challenge.real_audio),
    "power_map": ("trials", trials.power_map),
    "listeners_map": ("trials", listening.listeners_map),
    "effects_map": ("trials", trials.effects_map),
    "severity_curves": ("trials", trials.severity_curves),
    "bias_curves": ("trials", trials.bias_curves),
    "units_bars": ("trials", trials.units_bars),
    "listeners_scatter": ("trials", listening.listeners_scatter),
    "listening": ("listening", listening.listening),
    "decision": ("trials", trials.decision),
    "regressions": ("regressions", regressions.regressions),
    "calibration": ("calibration", regressions.calibration),
    "ladder": ("autoencoders", autoencoders.ladder),
    "stages": ("autoencoders", autoencoders.stages),
    "ceiling": ("autoencoders", autoencoders.ceiling),
    "autoencoder_training": ("autoencoders", autoencoders.autoencoder_training),
    "fidelity_and_coverage": ("autoencoders", autoencoders.fidelity_and_coverage),
    "modes": ("autoencoders", autoencoders.modes),
    "latent_map": ("autoencoders", autoencoders.latent_map),
    "faults": ("autoencoders", autoencoders.faults),
    "classifier_ladder": ("classifier", classifier.classifier_ladder),
    "confusion_sounds": ("classifier", classifier.confusion_sounds),
    "confusion_families": ("classifier", classifier.confusion_families),
    "reliability": ("classifier", classifier.reliability),
    "new_folders": ("classifier", classifier.new_folders),
    "songs_map": ("songs", songs.songs_map),
    "songs_roc": ("songs", songs.songs_roc),
    "songs_leaks": ("songs", songs.songs_leaks),
    "songs_duplicates": ("songs", songs.songs_duplicates),
    "songs_distances": ("songs", songs.songs_distances),
    "songs_stability": ("songs", songs.songs_stability),
    "songs_scaling": ("songs_speed", songs.songs_scaling),
}
