# One static binary on distroless: no shell, no package manager, no root, nothing written.
#   docker build -t postiz-auth-server .
# Plain layers, no BuildKit-only syntax: buildah, podman and kaniko build it as well.

# The same as in rust-toolchain.toml, which stays outside: it would fetch clippy and rustfmt.
ARG RUST_VERSION=1.95.0

FROM rust:${RUST_VERSION}-slim-trixie AS dependencies
WORKDIR /build
# Static glibc needs a target that is named, or the procedural macros would be static too; `host-tuple`
# is whichever machine builds, x86-64 or arm64. Without a dynamic libc, getrandom has to be told that
# the kernel has the call.
ENV CARGO_BUILD_TARGET=host-tuple \
    RUSTFLAGS="-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\""
# Everything that Cargo.lock names, compiled against an empty crate: this layer lasts until a dependency
# changes. The manifest's own targets (benches, tests) have no files yet, so they are left out of it.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
    && cp Cargo.toml full.toml \
    && awk '/^\[/ { target = /^\[\[(bin|bench|example|test)\]\]/ } !target' full.toml >Cargo.toml \
    && cargo build --release --locked \
    && rm -r src full.toml

FROM dependencies AS build
# Only the try-out in docker-compose.yml sets this, to `demo`.
ARG FEATURES=""
COPY . .
# Newer than the empty crate, whatever the checkout's clock says: cargo compares times.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --features "${FEATURES}" --bin postiz-auth-server \
    && cp target/*/release/postiz-auth-server /postiz-auth-server

# Brings the CA roots, /etc/passwd and /tmp; about 2 MB.
FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /postiz-auth-server /usr/local/bin/postiz-auth-server
# By number: Kubernetes' runAsNonRoot cannot judge a name.
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
