# The base where a container registry answers: the official image with the same packages.
ARG RELEASE
FROM ubuntu:${RELEASE}
ARG PACKAGES
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${PACKAGES} \
    && rm -rf /var/lib/apt/lists/*
