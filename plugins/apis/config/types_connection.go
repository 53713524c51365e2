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

package config

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
// by Framework.Principal and its secret, or by a token. The files are read anew
// when they change.
type Authentication struct {
	// SecretFile is the path of a file that holds the secret of
	// Framework.Principal and nothing else; it is sent by basic authentication.
	// Empty: none is sent.
	SecretFile string
	// TokenFile is the path of a file that holds a token and nothing else. Not
	// together with SecretFile. Empty: none is sent.
	TokenFile string
	// TokenScheme says how the token is sent.
	TokenScheme TokenScheme
}

// TLS says how https is spoken with the Mesos masters. The files are PEM, and
// read anew when they change.
type TLS struct {
	// Enabled speaks https with the masters that are found in ZooKeeper, which
	// does not say what they speak, and with entries of Masters without scheme.
	Enabled bool
	// CAFile is the path of the certificates that vouch for the masters. Empty:
	// those of the operating system.
	CAFile string
	// CertFile is the path of our certificate and those between it and its
	// root. Together with KeyFile only. Empty: we show none.
	CertFile string
	// KeyFile is the path of the certificate's private key.
	KeyFile string
	// ServerName is what the masters' certificates must be for. Empty: the host
	// that is called, be it a name or an address.
	ServerName string
}

// ZooKeeper says how the ensemble is asked that an entry of Masters names.
type ZooKeeper struct {
	// AuthFile is the path of a file that holds "user:password" (the ZooKeeper
	// scheme "digest") and nothing else. Empty: we show none.
	AuthFile string
}

// Session tunes the connection to the Mesos master.
type Session struct {
	// Start says when this process subscribes.
	Start SessionStart
	// CallTimeout bounds one call to the master, from dialing to its response.
	// It does not bound the subscription's stream of events.
	CallTimeout metav1.Duration
	// HeartbeatMisses is the number of heartbeat intervals (announced by the
	// master) without any event after which the connection counts as dead.
	HeartbeatMisses int32
	// MaxRecordBytes bounds one event of the stream, in bytes. A longer one ends
	// the connection.
	MaxRecordBytes int64
	// BackoffInitial is the pause before the first new attempt to connect. It
	// doubles with each failed attempt, with jitter.
	BackoffInitial metav1.Duration
	// BackoffMax bounds that pause. At least BackoffInitial.
	BackoffMax metav1.Duration
}
