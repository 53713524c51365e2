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

package mesosoffers

import (
	"context"
	"net"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
)

// connection is where the masters are and what we show to them, nil for nothing. With
// dial, which may reach a master in this process, names are not resolved.
func connection(args *config.MesosOffersArgs, dial credentials.Dial) (detect.Detector, mesos.Credentials, error) {
	options := detect.Options{HTTPS: args.TLS.Enabled, ZooKeeperAuthFile: args.ZooKeeper.AuthFile}
	if dial != nil {
		options.Resolve = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
		options.Dial = func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }
	}
	masters, err := detect.New(args.Masters, options)
	if err != nil {
		return nil, nil, err
	}
	auth, files := args.Authentication, credentials.Files{
		CAFile: args.TLS.CAFile, CertFile: args.TLS.CertFile, KeyFile: args.TLS.KeyFile, ServerName: args.TLS.ServerName,
	}
	if auth.SecretFile != "" {
		files.Principal, files.SecretFile = args.Framework.Principal, auth.SecretFile
	}
	if auth.TokenFile != "" {
		files.TokenFile, files.TokenScheme = auth.TokenFile, credentials.Scheme(auth.TokenScheme)
	}
	if files == (credentials.Files{}) {
		return masters, nil, nil
	}
	ours, err := credentials.New(files)
	if err != nil {
		return nil, nil, err
	}
	return masters, ours, nil
}
