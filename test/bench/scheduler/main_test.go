//go:build bench && linux

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

package scheduler

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/etcdmain"

	perf "k8s.io/kubernetes/test/integration/scheduler_perf"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// The names under which the test's binary is etcd, which the harness looks for on the
// PATH, and the emulated master. One binary, for linking takes longest.
const (
	etcdName   = "etcd"
	masterName = "mesos-master"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case etcdName:
		etcdmain.Main(os.Args)
		return
	case masterName:
		exitOn(serveMaster(os.Args[1]))
		return
	}
	exitOn(perf.InitTests())
	// The harness overlooks mistakes in flags.
	exitOn(flag.CommandLine.Parse(os.Args[1:]))
	m.Run()
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveMaster runs an emulated master with the agents of a file. It says on standard
// output where, and ends when standard input does.
func serveMaster(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var agents []Agent
	if err := json.Unmarshal(text, &agents); err != nil {
		return err
	}
	// What Mesos does by default: an allocation each second.
	config := mesosmaster.Config{Seed: time.Now().UnixNano(), AllocationInterval: time.Second}
	for _, a := range agents {
		config.Agents = append(config.Agents, mesosmaster.AgentConfig{Hostname: a.Hostname, Resources: a.Resources})
	}
	m, err := mesosmaster.NewMaster(config)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Start("127.0.0.1:0"); err != nil {
		return err
	}
	fmt.Println(m.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
