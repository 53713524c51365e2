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

package pki

import (
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// clusterName names cluster, user and context in the kubeconfig files.
const clusterName = "kube-mesos"

// CertificateKubeconfig writes a kubeconfig (mode 0600) that reaches server,
// a URL, with the client certificate NAME issued before. It holds certificate
// and key itself, so that it can be copied elsewhere.
func (a *Authority) CertificateKubeconfig(path, server, name string) error {
	cert, err := os.ReadFile(a.path(name + ".crt"))
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	key, err := os.ReadFile(a.path(name + ".key"))
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	return a.kubeconfig(path, server, &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key})
}

// TokenKubeconfig writes a kubeconfig (mode 0600) that reaches server, a URL,
// with the bearer token kept in tokenFile.
func (a *Authority) TokenKubeconfig(path, server, tokenFile string) error {
	return a.kubeconfig(path, server, &clientcmdapi.AuthInfo{TokenFile: tokenFile})
}

func (a *Authority) kubeconfig(path, server string, user *clientcmdapi.AuthInfo) error {
	ca, err := os.ReadFile(a.path("ca.crt"))
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[clusterName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[clusterName] = user
	config.Contexts[clusterName] = &clientcmdapi.Context{Cluster: clusterName, AuthInfo: clusterName}
	config.CurrentContext = clusterName
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode kubeconfig %s: %w", path, err)
	}
	return WriteFile(path, data, 0o600)
}
