package preflight

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
)

// scriptType is the media type of a part that a shell runs.
const scriptType = "text/x-shellscript"

// gzipped is how compressed user data, or a compressed part, begins. Nodes unpack it.
const gzipped = "\x1f\x8b"

// part is one document of user data.
type part struct{ mediaType, text string }

// splitUserData returns the parts of a MIME archive, or the user data as its only part: a NodeConfig when that is what
// isConfig says, else a script. It returns false when there is something in it that cannot be read.
func splitUserData(userData string, isConfig func(string) bool) ([]part, bool) {
	trimmed := strings.TrimSpace(userData)
	switch {
	case trimmed == "":
		return nil, true
	case strings.HasPrefix(userData, gzipped):
		return nil, false
	case strings.HasPrefix(trimmed, "MIME-Version:"), strings.HasPrefix(trimmed, "Content-Type:"):
		return splitArchive(userData)
	case isConfig(userData):
		return []part{{nodeConfigType, userData}}, true
	default:
		return []part{{scriptType, userData}}, true
	}
}

func splitArchive(userData string) ([]part, bool) {
	message, err := mail.ReadMessage(strings.NewReader(userData))
	if err != nil {
		return nil, false
	}
	mediaType, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(mediaType, "multipart/") {
		return nil, false
	}
	var parts []part
	readable := true
	for reader := multipart.NewReader(message.Body, parameters["boundary"]); ; {
		next, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return parts, readable
		}
		if err != nil {
			return parts, false
		}
		one, ok := readPart(next)
		if ok {
			parts = append(parts, one)
		}
		readable = readable && ok
	}
}

// readPart returns false for a part that says what nodes do by other means than its own text: an archive in the archive,
// an address to fetch, what is compressed.
func readPart(from *multipart.Part) (part, bool) {
	mediaType := ""
	if header := from.Header.Get("Content-Type"); header != "" {
		var err error
		if mediaType, _, err = mime.ParseMediaType(header); err != nil {
			return part{}, false
		}
	}
	var body io.Reader = from
	if strings.EqualFold(from.Header.Get("Content-Transfer-Encoding"), "base64") {
		body = base64.NewDecoder(base64.StdEncoding, from)
	}
	text, err := io.ReadAll(body)
	if err != nil || strings.HasPrefix(string(text), gzipped) {
		return part{}, false
	}
	switch mediaType {
	case nodeConfigType, scriptType, "text/cloud-boothook", "text/cloud-config", "text/plain", "":
		return part{mediaType, string(text)}, true
	default:
		return part{}, false
	}
}
