# syntax=docker/dockerfile:1
ARG BASE_IMAGE=gcr.io/distroless/static:nonroot
ARG GO_IMAGE=golang:1.26

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY internal internal
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags '-s -w' -o /larder ./cmd/larder

FROM ${BASE_IMAGE}
COPY --from=build /larder /larder
# The distroless nonroot user, by number so that runAsNonRoot can check it.
USER 65532:65532
ENTRYPOINT ["/larder"]
CMD ["manager"]
