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
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/components"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/pki"
)

// The scheduler's service account, as in the RBAC manifests.
const (
	schedulerNamespace = "kube-system"
	schedulerAccount   = "kube-mesos-scheduler"
	// tokenLifetime is longer than any local cluster runs.
	tokenLifetime = 365 * 24 * time.Hour
)

// Start brings the cluster up and returns when its nodes take pods. It fails
// when ctx is done: its caller ends it when a component ends. Stop must be
// called in any case.
func (c *Cluster) Start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.startStores, c.startAPIServer, c.startControllers, c.startNodes, c.startScheduler, c.awaitReady,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startStores starts what depends on nothing: etcd and the Mesos master.
func (c *Cluster) startStores(ctx context.Context) error {
	if err := c.run(components.Etcd); err != nil {
		return err
	}
	if c.opts.MesosMaster == "" {
		if err := c.run(components.MesosMaster); err != nil {
			return err
		}
	}
	client, err := c.httpClient("etcd-client")
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if err := awaitOK(ctx, client, "https://"+components.Local(c.settings.Ports.EtcdClient)+"/health"); err != nil {
		return fmt.Errorf("wait for etcd: %w", err)
	}
	c.opts.Progress("etcd is ready")
	return nil
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	if err := c.run(components.APIServer); err != nil {
		return err
	}
	err := poll(ctx, func(ctx context.Context) error {
		_, err := c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	}, always)
	if err != nil {
		return fmt.Errorf("wait for the kube-apiserver: %w", err)
	}
	version, err := c.Client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("version of the kube-apiserver: %w", err)
	}
	c.opts.Progress("kube-apiserver " + version.GitVersion + " is ready")
	return nil
}

// startControllers starts the controllers and KWOK, and prepares the
// scheduler's identity meanwhile.
func (c *Cluster) startControllers(ctx context.Context) error {
	for _, name := range []components.Name{components.ControllerManager, components.Kwok} {
		if err := c.run(name); err != nil {
			return err
		}
	}
	applier, err := NewApplier(c.Config)
	if err != nil {
		return err
	}
	for _, manifest := range c.opts.Manifests {
		objects, err := Decode(manifest)
		if err != nil {
			return fmt.Errorf("manifests: %w", err)
		}
		if err := applier.Apply(ctx, objects); err != nil {
			return err
		}
	}
	return c.writeToken(ctx)
}

// writeToken gets a token of the scheduler's service account, so that the
// scheduler has the rights it would have in production and no others.
func (c *Cluster) writeToken(ctx context.Context) error {
	seconds := int64(tokenLifetime / time.Second)
	token, err := c.Client.CoreV1().ServiceAccounts(schedulerNamespace).CreateToken(ctx, schedulerAccount,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}},
		metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("token of the scheduler's service account: %w", err)
	}
	path := filepath.Join(c.settings.PKIDir, string(components.Scheduler)+".token")
	if err := pki.WriteFile(path, []byte(token.Status.Token), 0o600); err != nil {
		return err
	}
	return c.authority.TokenKubeconfig(c.kubeconfig(components.Scheduler), c.Server(), path)
}

// startNodes makes a node for every agent of the Mesos master.
func (c *Cluster) startNodes(ctx context.Context) error {
	var agents []mesosstate.Agent
	err := poll(ctx, func(ctx context.Context) (err error) {
		agents, err = c.Mesos.Agents(ctx)
		if err == nil && c.opts.MesosMaster == "" && len(agents) < c.opts.Emulator.Agents {
			return fmt.Errorf("%d of %d agents are registered", len(agents), c.opts.Emulator.Agents)
		}
		return err
	}, always)
	if err != nil {
		return fmt.Errorf("wait for the Mesos master at %s: %w", c.MasterAddress, err)
	}
	nodes, warnings := nodesFor(agents)
	for _, warning := range warnings {
		c.opts.Progress("warning: " + warning)
	}
	if len(nodes) == 0 {
		return fmt.Errorf("the Mesos master at %s has no agent that could be a node", c.MasterAddress)
	}
	c.opts.Progress(fmt.Sprintf("Mesos master at %s has %d agents", c.MasterAddress, len(agents)))
	c.Nodes = len(nodes)
	return ensureNodes(ctx, c.Client, nodes)
}

func (c *Cluster) startScheduler(context.Context) error { return c.run(components.Scheduler) }

// awaitReady waits for the scheduler, the controllers and the nodes.
func (c *Cluster) awaitReady(ctx context.Context) error {
	client, err := c.httpClient("admin")
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	for name, url := range map[components.Name]string{
		components.ControllerManager: "https://" + components.Local(c.settings.Ports.ControllerManager) + "/healthz",
		components.Scheduler:         "https://" + components.Local(c.settings.Ports.Scheduler) + "/readyz",
	} {
		if err := awaitOK(ctx, client, url); err != nil {
			return fmt.Errorf("wait for %s: %w", name, err)
		}
		c.opts.Progress(string(name) + " is ready")
	}
	err = poll(ctx, func(ctx context.Context) error {
		nodes, err := c.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		return allSchedulable(nodes.Items)
	}, always)
	if err != nil {
		return fmt.Errorf("wait for the nodes: %w", err)
	}
	c.opts.Progress(fmt.Sprintf("%d nodes are ready", c.Nodes))
	return nil
}

// allSchedulable returns an error that counts the nodes that take no pods.
func allSchedulable(nodes []v1.Node) error {
	waiting := 0
	for i := range nodes {
		if !schedulable(&nodes[i]) {
			waiting++
		}
	}
	if waiting > 0 {
		return fmt.Errorf("%d of %d nodes take no pods yet", waiting, len(nodes))
	}
	return nil
}

// httpClient returns a client that proves itself with a certificate of the
// cluster and trusts its authority alone.
func (c *Cluster) httpClient(name string) (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(c.authority.Path(name+".crt"), c.authority.Path(name+".key"))
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", name, err)
	}
	ca, err := os.ReadFile(c.authority.Path("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("certificate of the authority: not in PEM form")
	}
	return &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
	}, nil
}

// awaitOK waits until a URL answers 200.
func awaitOK(ctx context.Context, client *http.Client, url string) error {
	return poll(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}, always)
}
