# One static binary on distroless: no shell, no package manager, no root, nothing written.
#   docker build -t postiz-auth-server .
# Plain layers, no BuildKit-only syntax: buildah, podman and kaniko build it as well.
# Base images are named by tag; docs/deployment/docker.md says how to pin them by digest.

# The same as in rust-toolchain.toml, which stays outside: it would fetch clippy and rustfmt.
ARG RUST_VERSION=1.95.0
# A published image to use instead of compiling: ghcr.io/OWNER/postiz-auth-server:0.1.0. Railway and Render pass a
# service's variable of this name. Unset or empty: the stage `built` below.
ARG POSTIZ_AUTH_IMAGE=built

FROM rust:${RUST_VERSION}-slim-trixie AS dependencies
WORKDIR /build
# Static glibc needs an explicit target, or the procedural macros would be static too; `host-tuple` is the target of the
# building machine, x86-64 or arm64. Without a dynamic libc, getrandom has to know that the kernel has the system call.
ENV CARGO_BUILD_TARGET=host-tuple \
    RUSTFLAGS="-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\""
# The server's dependencies, compiled for an empty crate: this layer is rebuilt only if a manifest changes. Cargo reads
# the manifests of all members, because the lock file covers them all, and builds the server only.
COPY Cargo.toml Cargo.lock ./
COPY crates/bench/Cargo.toml crates/bench/
COPY crates/demo/Cargo.toml crates/demo/
COPY crates/stand-in/Cargo.toml crates/stand-in/
RUN mkdir src crates/demo/src crates/stand-in/src \
    && touch src/lib.rs crates/stand-in/src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs >crates/demo/src/main.rs \
    && cargo build --release --locked --package postiz-auth-server

FROM dependencies AS build
# `--version` names the commit in REVISION.
ARG REVISION=""
COPY askama.toml openapi.yaml ./
COPY assets assets
COPY locales locales
COPY migrations migrations
COPY templates templates
COPY src src
# Cargo compares modification times: this makes the sources newer than the empty crate.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --package postiz-auth-server \
    && cp target/*/release/postiz-auth-server /postiz-auth-server

# Contains the CA roots, /etc/passwd and /tmp; about 2 MB.
FROM gcr.io/distroless/static-debian13:nonroot AS built
COPY --from=build /postiz-auth-server /usr/local/bin/postiz-auth-server
# By number: Kubernetes' runAsNonRoot can't verify a name.
USER 65532:65532
EXPOSE 3111
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["postiz-auth-server", "healthcheck"]
ENTRYPOINT ["postiz-auth-server"]
CMD ["serve"]

ARG VERSION="" REVISION=""
LABEL org.opencontainers.image.title="postiz-auth-server" \
      org.opencontainers.image.description="The auth server behind postiz auth:login: an OAuth 2.0 device flow in front of Postiz" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM ${POSTIZ_AUTH_IMAGE:-built}
