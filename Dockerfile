# syntax=docker/dockerfile:1
#
# One file for every connector:
#
#   docker build --build-arg CONNECTOR=source-stripe --build-arg VERSION=0.1.0 \
#       --tag tributary/source-stripe:0.1.0 .
#
# For several architectures: docker buildx build --platform linux/amd64,linux/arm64 …
# Each is compiled on its own platform (emulated where need be); nothing is cross-compiled.

FROM rust:1.95-slim-bookworm AS build
ARG CONNECTOR
ARG TARGETPLATFORM
WORKDIR /src
COPY . .
# The cache mounts are not part of the image, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=target-${TARGETPLATFORM},sharing=locked,target=/src/target \
    cargo build --release --locked --package "${CONNECTOR:?name it with --build-arg CONNECTOR=…}" \
    && install -D "target/release/${CONNECTOR}" /rootfs/airbyte/connector

# The root of the image, put together by hand from the same Debian that compiled the
# program: the program, the few libraries that it is linked with, a shell (the Airbyte
# platform starts connectors through `sh -c`), certificate authorities. No package manager,
# nothing else.
FROM build AS root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends busybox-static ca-certificates
RUN <<'SCRIPT'
set -eu
cd /rootfs
mkdir -p bin etc/ssl/certs lib root tmp usr
# `ldd` prints "name => path (address)" or, for the loader, "path (address)". The loader's
# path is fixed inside the program; libraries lie beside it or in /lib, which are searched.
ldd airbyte/connector | grep -o '/[^ ]*' | while read -r library; do
    case "$library" in
        */ld-linux*) install -D "$library" ".$library" ;;
        *) install "$library" lib/ ;;
    esac
done
install "$(command -v busybox)" bin/busybox
for tool in $(bin/busybox --list); do
    [ -e "bin/$tool" ] || ln -s busybox "bin/$tool"
done
cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/
echo 'hosts: files dns' > etc/nsswitch.conf
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'airbyte:x:1000:1000::/airbyte:/bin/sh' > etc/passwd
printf '%s\n' 'root:x:0:' 'airbyte:x:1000:' > etc/group
ln -s ../bin usr/bin
# Runners start the image under any user id; the sticky bit keeps one from another's files.
chown 1000:1000 airbyte
chmod 1777 airbyte tmp
# Proof that nothing is missing: this fails the build instead of a user's first run.
chroot . /bin/sh -c '/airbyte/connector spec' > /dev/null
SCRIPT

FROM scratch
ARG CONNECTOR
ARG VERSION=dev
COPY --from=root /rootfs /
ENV PATH=/bin
# The platform runs `sh -c 'eval "$AIRBYTE_ENTRYPOINT spec"'`, others run the entrypoint:
# both must name the same command. An ENTRYPOINT in this form takes no build arguments,
# which is why every connector has the same path.
ENV AIRBYTE_ENTRYPOINT="/airbyte/connector"
ENTRYPOINT ["/airbyte/connector"]
WORKDIR /airbyte
USER 1000:1000
LABEL io.airbyte.name="tributary/${CONNECTOR}" \
      io.airbyte.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
