# Names the sounds of a mounted folder with a model file that `python -m models release` wrote.
#
#     docker build -t sounds .
#     docker run --rm --network none --read-only --user "$(id -u):$(id -g)" \
#         -v "$PWD/recordings:/sounds:ro" -v "$PWD/model.safetensors:/model.safetensors:ro" \
#         sounds /model.safetensors /sounds
#
# --user makes it you who reads and writes; without it, whoever has number 10001 must be able to read the files.
# A CSV file goes to a further folder:
#
#     mkdir -p out
#     docker run ... -v "$PWD/out:/out" sounds /model.safetensors /sounds --csv /out/names.csv

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
COPY constraints.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c constraints.txt \
    numpy scipy soundfile soxr joblib tqdm torch safetensors av

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY LICENSE metrics.py ./
COPY audio_distance/*.py audio_distance/constants.json audio_distance/
COPY audio_distance/containers/*.py audio_distance/containers/
COPY audio_distance/page/*.py audio_distance/page/*.css audio_distance/page/*.js audio_distance/page/
COPY models/__init__.py models/classifier.py models/classifier_network.py models/files.py models/labels.py \
     models/predict.py models/spectrogram.py models/train.py models/

USER 10001:10001
ENTRYPOINT ["python", "-m", "models.predict"]
CMD ["--help"]
