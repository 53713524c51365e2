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

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SessionStart says when this process subscribes to the Mesos master.
type SessionStart string

const (
	// SessionStartLeading subscribes once this replica leads: standby replicas
	// never subscribe. Two subscriptions with one framework ID would evict each
	// other.
	SessionStartLeading SessionStart = "Leading"
	// SessionStartImmediately subscribes as soon as the plugin is built. It is
	// for a single replica without leader election only.
	SessionStartImmediately SessionStart = "Immediately"
)

// TokenScheme says how the token of Authentication.TokenFile is sent.
type TokenScheme string

const (
	// TokenSchemeBearer sends "Authorization: Bearer <token>".
	TokenSchemeBearer TokenScheme = "Bearer"
	// TokenSchemeToken sends "Authorization: token=<token>", as DC/OS wants it.
	TokenSchemeToken TokenScheme = "Token"
)

// Authentication says how we prove to the Mesos masters who we are, if at all:
// by Framework.Principal and its secret, or by a token. The files are named by
// absolute paths, and read anew when they change.
type Authentication struct {
	// SecretFile is the path of a file that holds the secret of
	// Framework.Principal and nothing else; it is sent by basic authentication.
	// Default: none is sent.
	SecretFile string `json:"secretFile,omitempty"`
	// TokenFile is the path of a file that holds a token and nothing else. Not
	// together with SecretFile. Default: none is sent.
	TokenFile string `json:"tokenFile,omitempty"`
	// TokenScheme says how the token is sent. "Bearer" (default: Authorization:
	// Bearer <token>) or "Token" (Authorization: token=<token>, as DC/OS wants
	// it).
	TokenScheme TokenScheme `json:"tokenScheme,omitempty"`
}

// TLS says how https is spoken with the Mesos masters. The files are PEM, named
// by absolute paths, and read anew when they change.
type TLS struct {
	// Enabled speaks https with the masters that are found in ZooKeeper, which
	// does not say what they speak, and with entries of Masters without scheme.
	// Default false.
	Enabled *bool `json:"enabled,omitempty"`
	// CAFile is the path of the certificates that vouch for the masters.
	// Default: those of the operating system.
	CAFile string `json:"caFile,omitempty"`
	// CertFile is the path of our certificate and those between it and its
	// root. Together with KeyFile only. Default: we show none.
	CertFile string `json:"certFile,omitempty"`
	// KeyFile is the path of the certificate's private key.
	KeyFile string `json:"keyFile,omitempty"`
	// ServerName is what the masters' certificates must be for. Default: the
	// host that is called, be it a name or an address.
	ServerName string `json:"serverName,omitempty"`
}

// ZooKeeper says how the ensemble is asked that an entry of Masters names.
type ZooKeeper struct {
	// AuthFile is the absolute path of a file that holds "user:password" (the
	// ZooKeeper scheme "digest") and nothing else. Only with a zk:// entry in
	// Masters. Default: we show none.
	AuthFile string `json:"authFile,omitempty"`
}

// Session tunes the connection to the Mesos master.
type Session struct {
	// Start says when this process subscribes: "Leading" (default) once this
	// replica leads, "Immediately" at start-up, for a single replica without
	// leader election only.
	Start SessionStart `json:"start,omitempty"`
	// CallTimeout bounds one call to the master, from dialing to its response.
	// It does not bound the subscription's stream of events. 100ms to 10m,
	// default 10s.
	CallTimeout *metav1.Duration `json:"callTimeout,omitempty"`
	// HeartbeatMisses is the number of heartbeat intervals (announced by the
	// master) without any event after which the connection counts as dead. 1 to
	// 20, default 3.
	HeartbeatMisses *int32 `json:"heartbeatMisses,omitempty"`
	// MaxRecordBytes bounds one event of the stream, in bytes. A longer one ends
	// the connection. At least 65536, default 268435456 (256 MiB).
	MaxRecordBytes *int64 `json:"maxRecordBytes,omitempty"`
	// BackoffInitial is the pause before the first new attempt to connect. It
	// doubles with each failed attempt, with jitter. 10ms to 1m, default 500ms.
	BackoffInitial *metav1.Duration `json:"backoffInitial,omitempty"`
	// BackoffMax bounds that pause. At least BackoffInitial, at most 1h, default
	// 15s.
	BackoffMax *metav1.Duration `json:"backoffMax,omitempty"`
}
