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
	"bytes"
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
	ended   chan struct{}
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

// newReal starts one. Another process may take the port before it does; then
// another port is taken.
func newReal(t *testing.T) *realServer {
	t.Helper()
	for attempt := 1; ; attempt++ {
		r := &realServer{t: t, dir: t.TempDir(), port: freePort(t)}
		config := fmt.Sprintf("tickTime=2000\ndataDir=%s\nclientPortAddress=127.0.0.1\nclientPort=%d\nadmin.enableServer=false\nforceSync=no\n", r.dir, r.port)
		if err := os.WriteFile(filepath.Join(r.dir, "zoo.cfg"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		admin, events, err := zk.Connect([]string{r.address()}, 10*time.Second, zk.WithLogger(nobody{}))
		if err != nil {
			t.Fatal(err)
		}
		r.admin = admin
		t.Cleanup(func() {
			admin.Close()
			for range events { // closed with the last goroutine
			}
			r.stop()
		})
		err = r.begin()
		if err == nil {
			return r
		}
		if attempt == 3 {
			t.Fatal(err)
		}
		t.Logf("starting ZooKeeper again: %v", err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

type nobody struct{}

func (nobody) Printf(string, ...any) {}

func (r *realServer) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// begin starts the process and waits until it answers; the client pauses between
// its attempts.
func (r *realServer) begin() error {
	process := exec.Command("java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", realJars,
		"org.apache.zookeeper.server.ZooKeeperServerMain", filepath.Join(r.dir, "zoo.cfg"))
	var said bytes.Buffer
	process.Stdout, process.Stderr = &said, &said
	if err := process.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Wait() // how it ended does not matter
	}()
	r.process, r.ended = process, ended
	give := time.Now().Add(patience)
	for {
		_, _, err := r.admin.Exists("/")
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("ZooKeeper has ended: %s", &said)
		default:
		}
		if time.Now().After(give) {
			return fmt.Errorf("ZooKeeper does not answer: %w", err)
		}
	}
}

func (r *realServer) start() {
	r.t.Helper()
	if err := r.begin(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *realServer) stop() {
	if r.process == nil {
		return
	}
	_ = r.process.Process.Kill() // it may have ended
	<-r.ended
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
