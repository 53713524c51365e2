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

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// fetch brings what a URI names into a sandbox: over HTTP, or from a file of this
// machine. Archives that are to be extracted are refused.
func fetch(ctx context.Context, uri *mesos.CommandInfo_URI, dir string) error {
	name := path.Base(uri.Value)
	u, err := url.Parse(uri.Value)
	if err == nil && u.Path != "" {
		name = path.Base(u.Path)
	}
	if uri.OutputFile != nil {
		name = filepath.Clean("/" + *uri.OutputFile)[1:]
	}
	if name == "" || name == "." || name == "/" {
		return fmt.Errorf("runner: %q names no file", uri.Value)
	}
	if extract := uri.Extract == nil || *uri.Extract; extract && !uri.GetExecutable() && isArchive(name) {
		return fmt.Errorf("runner: %s: archives are not extracted here; set extract to false", uri.Value)
	}
	in, err := open(ctx, uri.Value, u)
	if err != nil {
		return err
	}
	defer in.Close()
	target := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if uri.GetExecutable() {
		mode = 0o755
	}
	out, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func isArchive(name string) bool {
	for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip", ".gz"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// open reads what a URI names.
func open(ctx context.Context, raw string, u *url.URL) (io.ReadCloser, error) {
	if u == nil || u.Scheme == "" {
		return os.Open(raw)
	}
	switch u.Scheme {
	case "file":
		return os.Open(u.Path) //nolint:gosec // frameworks name what their commands need; they could run it anyway
	case "http", "https":
	default:
		return nil, fmt.Errorf("runner: %s: scheme %q is not understood; want http, https or file", raw, u.Scheme)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("runner: %s: answered %d", raw, resp.StatusCode), resp.Body.Close())
	}
	return resp.Body, nil
}
