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

package mesosmaster

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
)

// Authentication is who must say who they are: over HTTP Basic, the one scheme
// Mesos has built in, or by a token, as with authenticators that are modules.
type Authentication struct {
	// Frameworks is --authenticate_http_frameworks: calls of schedulers.
	Frameworks bool
	// Readonly is --authenticate_http_readonly: state, metrics and the like.
	Readonly bool
	// Readwrite is --authenticate_http_readwrite: the operator API, its reading
	// calls too.
	Readwrite bool
	// Credentials are the secrets by principal (--credentials).
	Credentials map[string]string
	// Tokens are the principals by token, shown as "Bearer TOKEN" or "token=TOKEN".
	Tokens map[string]string
}

// realm is a part of the interface that is authenticated as one; the empty realm
// is open to everybody.
type realm string

// Realms of a master (Mesos master/constants.hpp).
const (
	realmOpen      realm = ""
	realmScheduler realm = "mesos-master-scheduler"
	realmReadonly  realm = "mesos-master-readonly"
	realmReadwrite realm = "mesos-master-readwrite"
)

func (a *Authentication) asks(r realm) bool {
	switch r {
	case realmScheduler:
		return a.Frameworks
	case realmReadonly:
		return a.Readonly
	case realmReadwrite:
		return a.Readwrite
	default:
		return false
	}
}

// principal reads who a request is from; false means that it is not let in. Where
// nobody is asked, credentials are not looked at and the principal is empty.
func (a *Authentication) principal(r *http.Request, in realm) (string, bool) {
	if !a.asks(in) {
		return "", true
	}
	header := r.Header.Get("Authorization")
	if name, ok := a.bearer(header); ok {
		return name, true
	}
	kind, encoded, _ := strings.Cut(header, " ")
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if kind != "Basic" || err != nil {
		return "", false
	}
	name, secret, ok := strings.Cut(string(decoded), ":")
	want, known := a.Credentials[name]
	if !ok || !known || subtle.ConstantTimeCompare([]byte(secret), []byte(want)) != 1 {
		return "", false
	}
	return name, true
}

// bearer is whose token a header holds.
func (a *Authentication) bearer(header string) (principal string, ok bool) {
	for _, scheme := range []string{"Bearer ", "token="} {
		if token, is := strings.CutPrefix(header, scheme); is {
			principal, ok = a.Tokens[token]
			return principal, ok
		}
	}
	return "", false
}

// unauthorized is the answer to a request that is not let in.
func unauthorized(w http.ResponseWriter, in realm) {
	w.Header().Set("WWW-Authenticate", `Basic realm="`+string(in)+`"`)
	text(w, http.StatusUnauthorized, "401 Unauthorized.")
}
