/*
Copyright The Kube-Mesos Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// Bounds of a request, in bytes: of its head as libprocess' parser has it, and of
// its body, which is read whole before the request is handled.
const (
	maxHead = 80 << 10
	maxBody = 1 << 30
)

// request is a request read whole.
type request struct {
	http  *http.Request
	close bool // the connection ends with the answer
}

// readRequest reads the next request. Blanks in front of header values are
// dropped, blanks behind them are part of the value.
func readRequest(r *bufio.Reader) (*request, error) {
	budget := maxHead
	line, err := readLine(r, &budget)
	for err == nil && line == "" { // blank lines between requests are tolerated
		line, err = readLine(r, &budget)
	}
	if err != nil {
		return nil, err
	}
	method, rest, ok := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	major, minor, ok3 := http.ParseHTTPVersion(proto)
	if !ok || !ok2 || !ok3 || method == "" || major != 1 {
		return nil, fmt.Errorf("wire: %q is not the first line of a request", line)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	header, err := readHeader(r, &budget)
	if err != nil {
		return nil, err
	}
	body, err := readBody(r, header)
	if err != nil {
		return nil, err
	}
	req := &http.Request{
		Method: method, URL: u, Proto: proto, ProtoMajor: major, ProtoMinor: minor, Header: header,
		Host: header.Get("Host"), RequestURI: target, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	delete(header, "Host")
	option := strings.ToLower(strings.TrimSpace(header.Get("Connection")))
	return &request{http: req, close: option == "close" || minor == 0 && option != "keep-alive"}, nil
}

func readLine(r *bufio.Reader, budget *int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if *budget -= len(part); *budget < 0 {
			return "", errors.New("wire: head of a request too large")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

func readHeader(r *bufio.Reader, budget *int) (http.Header, error) {
	header := http.Header{}
	for {
		line, err := readLine(r, budget)
		if err != nil {
			return nil, err
		}
		if line == "" {
			return header, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("wire: %q is not a header", line)
		}
		header.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimLeft(value, " \t"))
	}
}

// readBody reads the body; a request that names neither a length nor chunks has
// none.
func readBody(r *bufio.Reader, header http.Header) ([]byte, error) {
	if strings.EqualFold(strings.TrimSpace(header.Get("Transfer-Encoding")), "chunked") {
		body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(r), maxBody+1))
		if err != nil {
			return nil, fmt.Errorf("wire: chunked body: %w", err)
		}
		if len(body) > maxBody {
			return nil, errors.New("wire: body of a request too large")
		}
		budget := maxHead
		_, err = readHeader(r, &budget) // trailers say nothing here
		return body, err
	}
	length := header.Get("Content-Length")
	if length == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(length), 10, 64)
	if err != nil || n < 0 || n > maxBody {
		return nil, fmt.Errorf("wire: Content-Length %q", length)
	}
	// Grown as it arrives: a length is only a claim.
	body, err := io.ReadAll(io.LimitReader(r, n))
	if err == nil && int64(len(body)) < n {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}
