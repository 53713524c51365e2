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

package zk

import (
	"path"
	"sort"
	"time"
)

// Node is a node as its owner describes it.
type Node struct {
	Path string
	Data []byte
	// Ephemeral nodes belong to a session, which clients can see.
	Ephemeral bool
	// Reader is the "user:password" of the scheme "digest" that is needed to read
	// the node; empty lets everybody.
	Reader string
}

// stat is what ZooKeeper tells of a node beside its data.
type stat struct {
	Czxid, Mzxid, Ctime, Mtime  int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64
	DataLength, NumChildren     int32
	Pzxid                       int64
}

// Kinds of changes, with the numbers of the protocol.
const (
	created         int32 = 1
	deleted         int32 = 2
	dataChanged     int32 = 3
	childrenChanged int32 = 4
)

// change is something a watch may wait for.
type change struct {
	kind int32
	path string
}

// tree is the nodes with their history: pure, changed by Update alone.
type tree struct {
	zxid  int64
	nodes map[string]*entry
}

type entry struct {
	data     []byte
	reader   string
	stat     stat
	children map[string]bool
}

func newTree() *tree {
	return &tree{nodes: map[string]*entry{"/": {children: map[string]bool{}}}}
}

// update makes the tree what a snapshot says and returns what has changed, in
// the order of a real server: nodes that go before nodes that come.
func (t *tree) update(now time.Time, snapshot []Node) []change {
	want := map[string]Node{}
	for _, n := range snapshot {
		for p := path.Clean("/" + n.Path); p != "/"; p = path.Dir(p) {
			if _, ok := want[p]; !ok {
				want[p] = Node{Path: p}
			}
		}
		n.Path = path.Clean("/" + n.Path)
		want[n.Path] = n
	}
	var out []change
	for _, p := range t.paths(true) {
		if _, ok := want[p]; !ok && p != "/" {
			out = append(out, t.remove(p)...)
		}
	}
	names := make([]string, 0, len(want))
	for p := range want {
		names = append(names, p)
	}
	sort.Strings(names) // parents come before children
	for _, p := range names {
		out = append(out, t.put(now, want[p])...)
	}
	return out
}

// paths are all paths, those of children first if bottomUp.
func (t *tree) paths(bottomUp bool) []string {
	out := make([]string, 0, len(t.nodes))
	for p := range t.nodes {
		out = append(out, p)
	}
	sort.Strings(out)
	if bottomUp {
		sort.Sort(sort.Reverse(sort.StringSlice(out)))
	}
	return out
}

func (t *tree) remove(p string) []change {
	t.zxid++
	delete(t.nodes, p)
	parent := t.nodes[path.Dir(p)]
	delete(parent.children, path.Base(p))
	t.childrenOf(parent)
	return []change{{deleted, p}, {childrenChanged, path.Dir(p)}}
}

func (t *tree) childrenOf(parent *entry) {
	parent.stat.Cversion++
	parent.stat.Pzxid = t.zxid
	parent.stat.NumChildren = int32(len(parent.children))
}

func (t *tree) put(now time.Time, n Node) []change {
	e := t.nodes[n.Path]
	if e != nil {
		e.reader = n.Reader
		if string(e.data) == string(n.Data) {
			return nil
		}
		t.zxid++
		e.data = n.Data
		e.stat.Version++
		e.stat.Mzxid, e.stat.Mtime, e.stat.DataLength = t.zxid, now.UnixMilli(), int32(len(n.Data))
		return []change{{dataChanged, n.Path}}
	}
	t.zxid++
	ms := now.UnixMilli()
	e = &entry{data: n.Data, reader: n.Reader, children: map[string]bool{}, stat: stat{
		Czxid: t.zxid, Mzxid: t.zxid, Pzxid: t.zxid, Ctime: ms, Mtime: ms, DataLength: int32(len(n.Data)),
	}}
	if n.Ephemeral {
		e.stat.EphemeralOwner = ownerBase + t.zxid
	}
	t.nodes[n.Path] = e
	parent := t.nodes[path.Dir(n.Path)]
	parent.children[path.Base(n.Path)] = true
	t.childrenOf(parent)
	return []change{{created, n.Path}, {childrenChanged, path.Dir(n.Path)}}
}

// ownerBase makes the sessions of nodes' owners look like those of real servers;
// clients' own sessions are numbered elsewhere.
const ownerBase = 0x100007457250000

// children are the names below a node, in order.
func (e *entry) names() []string {
	out := make([]string, 0, len(e.children))
	for n := range e.children {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}
