package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pageTags answers a request for tags with one page of at most TagsPerPage, and the next one's address; it returns
// false for other requests, and where pages have no bound.
func (s *Server) pageTags(response http.ResponseWriter, request *http.Request) bool {
	if s.options.TagsPerPage == 0 || !strings.HasSuffix(request.URL.Path, "/tags/list") {
		return false
	}
	query := request.URL.Query()
	whole := request.Clone(request.Context())
	whole.URL.RawQuery = ""
	answer := capture(whole, s.store)
	var list struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if answer.status != http.StatusOK || json.Unmarshal(answer.body, &list) != nil {
		return false
	}
	size := s.options.TagsPerPage
	if asked, err := strconv.Atoi(query.Get("n")); err == nil {
		size = min(size, asked)
	}
	for len(list.Tags) > 0 && list.Tags[0] <= query.Get("last") {
		list.Tags = list.Tags[1:]
	}
	if len(list.Tags) > size {
		list.Tags = list.Tags[:size]
		next := url.Values{"last": {list.Tags[size-1]}, "n": {strconv.Itoa(size)}}
		response.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, request.URL.Path, next.Encode()))
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(http.StatusOK)
	// A client that is gone needs no tags.
	_ = json.NewEncoder(response).Encode(list)
	return true
}
