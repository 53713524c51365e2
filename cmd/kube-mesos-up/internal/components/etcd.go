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

package components

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdFlags are the few settings of the single-member etcd of a local cluster.
type etcdFlags struct {
	dataDir   string
	clientURL string
	peerURL   string
	pkiDir    string
	noFsync   bool
}

// RunEtcd runs a single-member etcd until SIGINT or SIGTERM. Both of its
// listeners demand a client certificate of the cluster's authority.
func RunEtcd(args []string) int {
	var f etcdFlags
	fs := flag.NewFlagSet(string(Etcd), flag.ContinueOnError)
	fs.StringVar(&f.dataDir, "data-dir", "", "directory of the database")
	fs.StringVar(&f.clientURL, "client-url", "", "https URL to serve clients on")
	fs.StringVar(&f.peerURL, "peer-url", "", "https URL to serve peers on")
	fs.StringVar(&f.pkiDir, "pki-dir", "", "directory with ca.crt, etcd.crt and etcd.key")
	fs.BoolVar(&f.noFsync, "unsafe-no-fsync", false, "do not flush to disk: for data that need not survive")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := runEtcd(ctx, f); err != nil {
		fmt.Fprintf(os.Stderr, "etcd: %v\n", err)
		return 1
	}
	return 0
}

func runEtcd(ctx context.Context, f etcdFlags) error {
	cfg, err := etcdConfig(f)
	if err != nil {
		return err
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("serve: %w", err)
	case <-server.Server.StopNotify():
		return fmt.Errorf("the server stopped by itself")
	}
}

func etcdConfig(f etcdFlags) (*embed.Config, error) {
	client, err := url.Parse(f.clientURL)
	if err != nil {
		return nil, fmt.Errorf("--client-url: %w", err)
	}
	peer, err := url.Parse(f.peerURL)
	if err != nil {
		return nil, fmt.Errorf("--peer-url: %w", err)
	}
	tls := transport.TLSInfo{
		CertFile:       filepath.Join(f.pkiDir, "etcd.crt"),
		KeyFile:        filepath.Join(f.pkiDir, "etcd.key"),
		TrustedCAFile:  filepath.Join(f.pkiDir, "ca.crt"),
		ClientCertAuth: true,
	}
	cfg := embed.NewConfig()
	cfg.Name = "local"
	cfg.Dir = f.dataDir
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{"stderr"}
	cfg.UnsafeNoFsync = f.noFsync
	cfg.EnableGRPCGateway = false
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.ClientTLSInfo, cfg.PeerTLSInfo = tls, tls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	return cfg, nil
}
