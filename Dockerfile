# docker build -t socks5d .
# docker run -p 1080:1080 -e SOCKS5D_USER=NAME:PASSWORD socks5d
FROM swift:6.3-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libuv1-dev libcrypt-dev libyaml-dev libhttp-parser-dev libssl-dev pkg-config \
    python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The packages come first: they change less often than the sources.
COPY Package.swift ./
COPY Tests ./Tests
COPY scripts ./scripts
RUN swift package resolve
COPY CHANGELOG.md CONTRIBUTING.md LICENSE README.md SECURITY.md THIRD-PARTY-NOTICES.md ./
COPY docs ./docs
COPY examples ./examples
COPY Benchmarks/Plots ./Benchmarks/Plots
COPY deploy ./deploy
COPY Sources ./Sources
# The commit, for `socks5d --version --json`: the image's context has no git repository.
ARG REVISION=
RUN SOCKS5D_COMMIT=$REVISION scripts/dist && mkdir /image && mv dist/socks5d-*/* /image/

# docker build --target gssapi -t socks5d-gssapi . is the image with logins by Kerberos, on Debian's libraries.
FROM build AS build-gssapi
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libkrb5-dev \
 && rm -rf /var/lib/apt/lists/*
ARG REVISION=
RUN SOCKS5D_COMMIT=$REVISION scripts/dist-gssapi && mkdir /image-gssapi && mv dist/socks5d-*-gssapi/* /image-gssapi/

FROM debian:bookworm-slim AS gssapi
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgssapi-krb5-2 libuv1 libcrypt1 libyaml-0-2 libhttp-parser2.9 libssl3 \
    libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
LABEL org.opencontainers.image.title="socks5d-gssapi" \
      org.opencontainers.image.description="A SOCKS5 proxy server with logins by Kerberos" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-gssapi /image-gssapi/socks5d /socks5d
COPY --from=build-gssapi /image-gssapi/LICENSE /image-gssapi/THIRD-PARTY-NOTICES.md /licenses/
ENV SOCKS5D_LISTEN=0.0.0.0:1080
ENV SOCKS5D_SANDBOX=on
USER 65532:65532
EXPOSE 1080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=2s CMD ["/socks5d", "healthcheck"]
ENTRYPOINT ["/socks5d"]

FROM scratch
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="socks5d" \
      org.opencontainers.image.description="A SOCKS5 proxy server" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/socks5d /socks5d
COPY --from=build /image/LICENSE /image/THIRD-PARTY-NOTICES.md /image/LGPL-2.1.txt /licenses/
# All interfaces of the container; this asks for SOCKS5D_USER, SOCKS5D_USER_FILE or SOCKS5D_OPEN=1.
ENV SOCKS5D_LISTEN=0.0.0.0:1080
# Docker's own filter lets Landlock and seccomp pass; where a kernel lacks Landlock, a warning says so.
ENV SOCKS5D_SANDBOX=on
USER 65532:65532
EXPOSE 1080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=2s CMD ["/socks5d", "healthcheck"]
ENTRYPOINT ["/socks5d"]
