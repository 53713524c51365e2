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

package credentials

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// volume is a directory that changes as the kubelet's volumes of secrets do: the
// files are links into one that is put in place by a rename.
type volume struct {
	t    *testing.T
	dir  string
	made int
}

func newVolume(t *testing.T, files map[string]string) *volume {
	v := &volume{t: t, dir: t.TempDir()}
	v.swap(files)
	for name := range files {
		v.must(os.Symlink(filepath.Join("..data", name), v.path(name)))
	}
	return v
}

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

func (v *volume) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// swap makes these all the files there are, at once.
func (v *volume) swap(files map[string]string) {
	v.made++
	data := "..data_" + strings.Repeat("x", v.made)
	v.must(os.Mkdir(v.path(data), 0o755))
	for name, text := range files {
		v.must(os.WriteFile(filepath.Join(v.path(data), name), []byte(text), 0o600))
	}
	v.must(os.Symlink(data, v.path("..new")))
	v.must(os.Rename(v.path("..new"), v.path("..data")))
}

func read(t *testing.T, files Files) *Credentials {
	t.Helper()
	c, err := New(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Credentials) wants(t *testing.T, authorization string) {
	t.Helper()
	if got, err := c.Authorization(); err != nil || got != authorization {
		t.Errorf("authorization is %q, %v, want %q", got, err, authorization)
	}
}

func changed(c *Credentials) bool {
	select {
	case <-c.Changed():
		return true
	default:
		return false
	}
}

func TestAuthorization(t *testing.T) {
	v := newVolume(t, map[string]string{
		"secret": "s3cret\n", "dos": "s3cret\r\n", "blank": " a b ", "token": "abc.def\n", "two": "abc\ndef\n", "empty": "", "lines": "\n\n",
		"large": strings.Repeat("x", maxFile+1),
	})
	for _, test := range []struct {
		name  string
		files Files
		want  string
		err   string
	}{
		{name: "nothing"},
		{name: "secret", files: Files{Principal: "kube", SecretFile: "secret"}, want: "Basic a3ViZTpzM2NyZXQ="},
		{name: "other line end", files: Files{Principal: "kube", SecretFile: "dos"}, want: "Basic a3ViZTpzM2NyZXQ="},
		{name: "blanks belong to it", files: Files{Principal: "kube", SecretFile: "blank"}, want: "Basic a3ViZTogYSBiIA=="},
		{name: "bearer", files: Files{TokenFile: "token", TokenScheme: Bearer}, want: "Bearer abc.def"},
		{name: "default scheme", files: Files{TokenFile: "token"}, want: "Bearer abc.def"},
		{name: "DC/OS", files: Files{TokenFile: "token", TokenScheme: Token}, want: "token=abc.def"},
		{name: "token of two lines", files: Files{TokenFile: "two"}, err: "more than a token"},
		{name: "empty", files: Files{TokenFile: "empty"}, err: "empty: it is empty"},
		{name: "only line breaks", files: Files{Principal: "kube", SecretFile: "lines"}, err: "lines: it is empty"},
		{name: "missing", files: Files{Principal: "kube", SecretFile: "nowhere"}, err: "nowhere: no such file"},
		{name: "a directory", files: Files{Principal: "kube", SecretFile: "."}, err: "is a directory"},
		{name: "too large", files: Files{Principal: "kube", SecretFile: "large"}, err: "larger than"},
		{name: "no principal", files: Files{SecretFile: "secret"}, err: "no principal"},
		{name: "principal with colon", files: Files{Principal: "a:b", SecretFile: "secret"}, err: "colon"},
		{name: "both", files: Files{Principal: "kube", SecretFile: "secret", TokenFile: "token"}, err: "only one"},
		{name: "unknown scheme", files: Files{TokenFile: "token", TokenScheme: "Digest"}, err: "Bearer or Token"},
		{name: "certificate alone", files: Files{CertFile: "secret"}, err: "both, or none"},
		{name: "no certificates", files: Files{CAFile: "secret"}, err: "no certificate in PEM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range []*string{&test.files.SecretFile, &test.files.TokenFile, &test.files.CAFile} {
				if *f != "" {
					*f = v.path(*f)
				}
			}
			c, err := New(test.files)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got error %v, want one with %q", err, test.err)
				}
				for _, secret := range []string{"s3cret", "abc"} {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Errorf("error %q holds a secret", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.wants(t, test.want)
		})
	}
}

// A volume that changes is noticed at most once a second, and by Run alone.
func TestSecretIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVolume(t, map[string]string{"token": "one"})
		c := read(t, Files{TokenFile: v.path("token")})
		v.swap(map[string]string{"token": "two"})
		c.wants(t, "Bearer one")
		time.Sleep(minAge - 1)
		c.wants(t, "Bearer one")
		time.Sleep(time.Nanosecond)
		c.wants(t, "Bearer two")
		if !changed(c) || changed(c) {
			t.Error("want one change told")
		}
		time.Sleep(minAge)
		c.wants(t, "Bearer two")
		if changed(c) {
			t.Error("nothing has changed")
		}
		var running sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() { c.Run(ctx) })
		v.swap(map[string]string{"token": "three"})
		<-c.Changed()
		c.wants(t, "Bearer three")
		cancel()
		running.Wait()
	})
}

// What cannot be read any more stays in use, and is told.
func TestLastGoodSecretStays(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"gone":  {},
		"empty": {"token": ""},
		"odd":   {"token": "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVolume(t, map[string]string{"token": "one"})
				c := read(t, Files{TokenFile: v.path("token")})
				if err := c.Problem(); err != nil {
					t.Error(err)
				}
				v.swap(files)
				time.Sleep(minAge)
				c.wants(t, "Bearer one")
				if err := c.Problem(); err == nil || !strings.Contains(err.Error(), v.path("token")) || changed(c) {
					t.Errorf("problem is %v, want one that names the file, and no change", err)
				}
				v.swap(map[string]string{"token": "two"})
				time.Sleep(minAge)
				c.wants(t, "Bearer two")
				if err := c.Problem(); err != nil || !changed(c) {
					t.Errorf("problem is %v, want none, and a change", err)
				}
			})
		})
	}
}

// Every reader gets a whole secret while it changes.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVolume(t, map[string]string{"token": "even"})
		c := read(t, Files{TokenFile: v.path("token")})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		for range 8 {
			running.Go(func() {
				for ctx.Err() == nil {
					if got, err := c.Authorization(); err != nil || got != "Bearer even" && got != "Bearer odd" {
						t.Errorf("got %q, %v", got, err)
					}
					_ = c.Problem()
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		for i := range 20 {
			time.Sleep(time.Second)
			v.swap(map[string]string{"token": []string{"odd", "even"}[i%2]})
		}
		cancel()
		running.Wait()
	})
}
