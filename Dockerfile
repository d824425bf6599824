# Names the sounds of a mounted folder with a model file that `python -m models release` wrote.
#
#     docker build -t sounds .
#     docker run --rm --network none --read-only \
#         -v "$PWD/recordings:/sounds:ro" -v "$PWD/model.safetensors:/model.safetensors:ro" \
#         sounds /model.safetensors /sounds
#
# A CSV file goes to a further folder, which is yours: so run it as you.
#
#     mkdir -p out
#     docker run --rm --network none --read-only --user "$(id -u):$(id -g)" \
#         -v "$PWD/recordings:/sounds:ro" -v "$PWD/model.safetensors:/model.safetensors:ro" \
#         -v "$PWD/out:/out" sounds /model.safetensors /sounds --csv /out/names.csv

# A tag can move. To pin the bytes, append the digest that this prints, as :TAG@sha256:...:
#     docker buildx imagetools inspect python:3.11.14-slim-bookworm
FROM python:3.11.14-slim-bookworm

LABEL org.opencontainers.image.title="sounds" \
      org.opencontainers.image.description="Names the sounds of a mounted folder with a model file" \
      org.opencontainers.image.licenses="MIT"

WORKDIR /app

# Packages before code, so that a change of code leaves their layer. The index holds PyTorch without gigabytes
# of GPU libraries: its 2.13.0+cpu satisfies torch==2.13.0, and pip takes it for newer than a plain 2.13.0.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements-predict.txt constraints.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements-predict.txt -c constraints.txt

# HOME: a user of --user has none, and librosa's imports look for it.
# NUMBA: librosa compiles for 20 s when mel filters are first made, and its import fails where it finds no
# folder to write to. So that is done here, for any processor, and the folder is a volume: it stays writable
# under --read-only, for every user, and starts with what lies in the image.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/var/cache/numba \
    NUMBA_CPU_NAME=generic
RUN python -c "import librosa; librosa.filters.mel(sr=8000, n_fft=256, norm=None)" \
    && chmod -R a+rwX "$NUMBA_CACHE_DIR"
VOLUME ["/var/cache/numba"]

COPY LICENSE metrics.py metrics_constants.json ./
COPY models/__init__.py models/classifier.py models/predict.py models/prior.py models/residual.py \
     models/spectrogram.py models/train.py models/

USER 10001:10001
ENTRYPOINT ["python", "-m", "models.predict"]
CMD ["--help"]
