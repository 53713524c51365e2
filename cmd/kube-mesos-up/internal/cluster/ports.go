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

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/pki"
)

// portsFile keeps the ports of a data folder, so that a kubeconfig stays valid
// over restarts whenever its port is still free.
const portsFile = "ports.json"

// choosePorts returns free ports on 127.0.0.1, the ones used before where they
// are free, and remembers them. Another program can take a port before its
// component listens; the component then fails and says so.
func choosePorts(dataDir string) (components.Ports, error) {
	var ports components.Ports
	path := filepath.Join(dataDir, portsFile)
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &ports)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ports, fmt.Errorf("read %s: %w", path, err)
	}
	// All listeners stay open until all ports are chosen: no port comes twice.
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, port := range []*int{
		&ports.EtcdClient, &ports.EtcdPeer, &ports.APIServer,
		&ports.ControllerManager, &ports.Scheduler, &ports.MesosMaster,
	} {
		l, err := net.Listen("tcp", components.Local(*port))
		if err != nil {
			l, err = net.Listen("tcp", components.Local(0))
		}
		if err != nil {
			return ports, fmt.Errorf("find a free port on 127.0.0.1: %w", err)
		}
		listeners = append(listeners, l)
		*port = l.Addr().(*net.TCPAddr).Port
	}
	data, err = json.Marshal(ports)
	if err != nil {
		return ports, fmt.Errorf("encode %s: %w", path, err)
	}
	return ports, pki.WriteFile(path, data, 0o600)
}
