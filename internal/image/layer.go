package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// maxResumes is how often one layer's download is taken up again where it broke: go-containerregistry retries
// requests, not bodies, and a layer of many GB outlives its connection now and then.
const maxResumes = 5

// OpenLayer returns a layer's bytes as they are in the registry, compressed. Its reader gives io.EOF only after
// exactly the bytes that the descriptor's size and digest name: who stops reading before has verified nothing.
// The repository is that of Image.Repository; the caller closes the reader.
func (c *Client) OpenLayer(ctx context.Context, repository string, layer Layer) (io.ReadCloser, error) {
	reference := repository + "@" + layer.Descriptor.Digest.String()
	if err := checkDescriptor(layer.Descriptor, maxLayerBytes); err != nil {
		return nil, &Error{Reference: reference, Reason: Unsupported, Err: err}
	}
	source, err := c.source(repository)
	if err != nil {
		return nil, err
	}
	reader := &layerReader{
		ctx:       ctx,
		client:    c,
		left:      append(source.mirrors, source.origin),
		reference: reference,
		digest:    layer.Descriptor.Digest,
		size:      layer.Descriptor.Size,
		verifier:  layer.Descriptor.Digest.Verifier(),
	}
	if err := reader.open(); err != nil {
		return nil, err
	}
	return reader, nil
}

// layerReader downloads one layer, resumes it, and verifies it.
type layerReader struct {
	ctx    context.Context
	client *Client
	// left are where the layer can still be had, the current one first, and the registry itself last. A mirror that
	// fails in any way is left for good.
	left []*session
	// suspects are the mirrors that sent some of the bytes.
	suspects  []*session
	reference string
	digest    digest.Digest
	size      int64
	verifier  digest.Verifier

	body    io.ReadCloser
	offset  int64
	resumes int
	// outcome is what every Read returns once the end, good or bad, was reached.
	outcome error
}

// open asks for the bytes from offset on, the mirrors first.
func (r *layerReader) open() error {
	for {
		current := r.left[0]
		body, err := r.openAt(current)
		if err == nil {
			r.body = body
			if len(r.left) > 1 {
				r.suspects = append(r.suspects, current)
			}
			return nil
		}
		if len(r.left) == 1 || r.ctx.Err() != nil {
			return err
		}
		r.leave(err)
	}
}

// leave goes on from a mirror to the next.
func (r *layerReader) leave(why error) {
	r.client.passOver(r.ctx, r.left[0], why)
	r.left = r.left[1:]
}

func (r *layerReader) openAt(from *session) (io.ReadCloser, error) {
	// Without this, net/http unpacks a layer for which the registry's storage announces Content-Encoding: gzip.
	header := http.Header{"Accept-Encoding": {"identity"}}
	if r.offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.offset, r.size-1))
	}
	response, err := from.send(r.ctx, http.MethodGet, r.reference, from.address("blobs/"+r.digest.String()), header)
	if err != nil {
		return nil, err
	}
	if err := r.checkAnswer(response); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response.Body, nil
}

func (r *layerReader) checkAnswer(response *http.Response) error {
	if r.offset == 0 {
		if response.StatusCode != http.StatusOK {
			return r.fail(RegistryError, fmt.Errorf("HTTP status %d for a whole layer", response.StatusCode))
		}
	} else {
		var first, last int64
		_, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/", &first, &last)
		if response.StatusCode != http.StatusPartialContent || err != nil || first != r.offset {
			return r.fail(Incomplete, fmt.Errorf("broke off after %d of %d bytes, and the registry cannot resume", r.offset, r.size))
		}
	}
	if expected := r.size - r.offset; response.ContentLength >= 0 && response.ContentLength != expected {
		return r.fail(DigestMismatch, fmt.Errorf("%d bytes announced instead of %d", response.ContentLength, expected))
	}
	return nil
}

// Read reads on over broken connections; after the last byte it verifies.
func (r *layerReader) Read(p []byte) (int, error) {
	for r.outcome == nil {
		n, err := r.body.Read(p)
		if int64(n) > r.size-r.offset {
			r.outcome = r.mismatch(fmt.Errorf("more than its %d bytes came", r.size))
			break
		}
		r.offset += int64(n)
		_, _ = r.verifier.Write(p[:n]) // a hash's Write never fails
		switch {
		case err != nil && r.offset == r.size:
			r.outcome = r.verdict()
		case err != nil:
			r.outcome = r.resume(err)
		}
		if n > 0 {
			return n, nil
		}
		if len(p) == 0 {
			return 0, nil
		}
	}
	return 0, r.outcome
}

func (r *layerReader) verdict() error {
	if !r.verifier.Verified() {
		return r.mismatch(errors.New("the layer's bytes have another digest"))
	}
	return io.EOF
}

// mismatch comes too late to read the layer elsewhere: whoever reads has the bytes. So that it is read elsewhere the
// next time, mirrors that had a part in it are left alone for a while.
func (r *layerReader) mismatch(why error) error {
	registry := r.left[0].host
	for _, mirror := range r.suspects {
		r.client.rest(mirror.host, mismatchRest)
		registry = mirror.host
	}
	return &Error{Reference: r.reference, Registry: registry, Reason: DigestMismatch, Err: why}
}

// resume replaces a body that ended too early.
func (r *layerReader) resume(cause error) error {
	if r.ctx.Err() != nil {
		return failure(r.ctx, r.reference, r.left[0].host, cause)
	}
	if len(r.left) > 1 {
		r.body.Close()
		r.leave(cause)
		return r.open()
	}
	if r.resumes == maxResumes {
		return r.fail(Incomplete, fmt.Errorf("%d of %d bytes came, after %d attempts to resume", r.offset, r.size, r.resumes))
	}
	r.resumes++
	r.body.Close()
	return r.open()
}

func (r *layerReader) fail(reason Reason, err error) error {
	return &Error{Reference: r.reference, Registry: r.left[0].host, Reason: reason, Err: err}
}

// Close gives the connection back.
func (r *layerReader) Close() error { return r.body.Close() }
