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

package validation

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
)

// validateConnection judges how the masters are found and how we prove to each
// other who we are. Path is that of all arguments.
func validateConnection(path *field.Path, args *config.MesosOffersArgs) field.ErrorList {
	tls := path.Child("tls")
	errs := validateMasters(path.Child("masters"), args.Masters, tls.Child("enabled"), args.TLS.Enabled)
	errs = append(errs, validateAuthentication(path.Child("authentication"), &args.Authentication,
		path.Child("framework", "principal"), args.Framework.Principal)...)
	errs = append(errs, validateTLS(tls, &args.TLS, path.Child("masters"), args.Masters)...)
	auth := path.Child("zookeeper", "authFile")
	errs = append(errs, validateFile(auth, args.ZooKeeper.AuthFile)...)
	if args.ZooKeeper.AuthFile != "" && !slices.ContainsFunc(args.Masters, isZooKeeper) {
		errs = append(errs, field.Forbidden(auth, fmt.Sprintf("only allowed if %s is a zk:// entry", path.Child("masters"))))
	}
	return errs
}

// validateAuthentication takes the path and the value of framework.principal too:
// it is the name that goes with the secret.
func validateAuthentication(path *field.Path, auth *config.Authentication, principalPath *field.Path, principal string) field.ErrorList {
	errs := validateFile(path.Child("secretFile"), auth.SecretFile)
	errs = append(errs, validateFile(path.Child("tokenFile"), auth.TokenFile)...)
	errs = append(errs, oneOf(path.Child("tokenScheme"), auth.TokenScheme, config.TokenSchemeBearer, config.TokenSchemeToken)...)
	if auth.SecretFile != "" && auth.TokenFile != "" {
		errs = append(errs, field.Forbidden(path.Child("tokenFile"),
			fmt.Sprintf("must not be set together with %s: a request has room for one of them", path.Child("secretFile"))))
	}
	switch {
	case auth.SecretFile == "":
	case principal == "":
		errs = append(errs, field.Required(principalPath, fmt.Sprintf("%s holds the secret of this principal", path.Child("secretFile"))))
	case strings.Contains(principal, ":"):
		// RFC 7617, section 2.
		errs = append(errs, field.Invalid(principalPath, principal, "must not contain a colon: basic authentication parts principal and secret by it"))
	}
	return errs
}

func validateTLS(path *field.Path, tls *config.TLS, mastersPath *field.Path, masters []string) field.ErrorList {
	var errs field.ErrorList
	set := ""
	for _, file := range []struct{ name, value string }{
		{"caFile", tls.CAFile}, {"certFile", tls.CertFile}, {"keyFile", tls.KeyFile},
	} {
		errs = append(errs, validateFile(path.Child(file.name), file.value)...)
		if file.value != "" && set == "" {
			set = file.name
		}
	}
	if tls.CertFile != "" && tls.KeyFile == "" {
		errs = append(errs, field.Required(path.Child("keyFile"), fmt.Sprintf("the private key of %s", path.Child("certFile"))))
	}
	if tls.KeyFile != "" && tls.CertFile == "" {
		errs = append(errs, field.Required(path.Child("certFile"), fmt.Sprintf("the certificate of %s", path.Child("keyFile"))))
	}
	if name := tls.ServerName; name != "" {
		if set == "" {
			set = "serverName"
		}
		if !isHost(name) {
			errs = append(errs, field.Invalid(path.Child("serverName"), name, "must be a host name or an IP address"))
		}
	}
	https := func(entry string) bool { return strings.HasPrefix(entry, schemeHTTPS+"://") }
	if set != "" && !tls.Enabled && !slices.ContainsFunc(masters, https) {
		errs = append(errs, field.Forbidden(path.Child(set), fmt.Sprintf(
			"only allowed if https is spoken: write https:// before the entries of %s or set %s to true", mastersPath, path.Child("enabled"))))
	}
	return errs
}

// validateFile judges the path of a file. Whether it can be read is seen when it
// is: it may come later, and change.
func validateFile(path *field.Path, value string) field.ErrorList {
	if value == "" || filepath.IsAbs(value) {
		return nil
	}
	// A secret may stand here by mistake.
	return field.ErrorList{field.Invalid(path, notShown, "must be the absolute path of a file, for example /etc/kube-mesos/secret")}
}
