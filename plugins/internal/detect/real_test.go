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

package detect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// Where Debian's package libzookeeper-java puts the server, and what its log needs.
const realJars = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar"

// realServer is a ZooKeeper as a process of its own. Each test has nodes of its own in it.
type realServer struct {
	t       *testing.T
	dir     string
	port    int
	process *exec.Cmd
	admin   *zk.Conn
}

// realProblem is why there is no real ZooKeeper here, or nil.
func realProblem() error {
	if _, err := exec.LookPath("java"); err != nil {
		return err
	}
	_, err := os.Stat(strings.Split(realJars, ":")[0])
	return err
}

func newReal(t *testing.T) *realServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := &realServer{t: t, dir: t.TempDir(), port: port}
	config := fmt.Sprintf("tickTime=2000\ndataDir=%s\nclientPortAddress=127.0.0.1\nclientPort=%d\nadmin.enableServer=false\nforceSync=no\n", r.dir, r.port)
	if err := os.WriteFile(filepath.Join(r.dir, "zoo.cfg"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(r.stop)
	admin, events, err := zk.Connect([]string{r.address()}, 10*time.Second, zk.WithLogger(nobody{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin.Close()
		for range events { // closed with the last goroutine
		}
	})
	r.admin = admin
	r.ready()
	return r
}

type nobody struct{}

func (nobody) Printf(string, ...any) {}

func (r *realServer) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

func (r *realServer) start() {
	r.process = exec.Command("java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", realJars,
		"org.apache.zookeeper.server.ZooKeeperServerMain", filepath.Join(r.dir, "zoo.cfg"))
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	if r.admin != nil {
		r.ready()
	}
}

// ready waits until ZooKeeper answers; the client pauses between its attempts.
func (r *realServer) ready() {
	r.t.Helper()
	give := time.Now().Add(time.Minute)
	for {
		_, _, err := r.admin.Exists("/")
		if err == nil {
			return
		}
		if time.Now().After(give) {
			r.t.Fatalf("ZooKeeper does not answer: %v", err)
		}
	}
}

func (r *realServer) stop() {
	if r.process.ProcessState != nil {
		return
	}
	if err := r.process.Process.Kill(); err != nil {
		r.t.Error(err)
	}
	_ = r.process.Wait() // "killed"
}

// realNodes are the nodes of one test.
type realNodes struct {
	*realServer
	path string
}

var realPaths atomic.Int32

func (r *realServer) nodes() *realNodes {
	return &realNodes{r, fmt.Sprintf("/test-%d", realPaths.Add(1))}
}

func (n *realNodes) entry() string { return "zk://" + n.address() + n.path }

func (n *realNodes) set(nodes map[string]string, reader string) {
	n.t.Helper()
	acl := zk.WorldACL(zk.PermAll)
	if reader != "" {
		user, password, _ := strings.Cut(reader, ":")
		acl = append(zk.DigestACL(zk.PermRead, user, password), zk.WorldACL(zk.PermAll&^zk.PermRead)...)
		if err := n.admin.AddAuth("digest", []byte(reader)); err != nil {
			n.t.Fatal(err)
		}
	}
	there, _, err := n.admin.Children(n.path)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		n.t.Fatal(err)
	}
	exists := err == nil
	had := map[string]bool{}
	for _, name := range there {
		if _, stays := nodes[name]; !stays {
			n.must(n.admin.Delete(path.Join(n.path, name), -1))
			continue
		}
		had[name] = true
	}
	switch {
	case nodes == nil && exists:
		n.must(n.admin.Delete(n.path, -1))
	case nodes != nil && !exists:
		_, err := n.admin.Create(n.path, nil, 0, acl)
		n.must(err)
	}
	for name, data := range nodes {
		full := path.Join(n.path, name)
		if !had[name] {
			_, err := n.admin.Create(full, []byte(data), 0, acl)
			n.must(err)
			continue
		}
		if old, _, err := n.admin.Get(full); err != nil || string(old) != data {
			n.must(err)
			_, err = n.admin.Set(full, []byte(data), -1)
			n.must(err)
		}
	}
}

func (n *realNodes) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *realNodes) dial(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}
