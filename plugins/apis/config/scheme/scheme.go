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

// Package scheme teaches kube-scheduler's own scheme the arguments of the
// scheduler plugin MesosOffers. A command that imports it, if only for this side
// effect, reads MesosOffersArgs strictly and with defaults wherever
// kube-scheduler reads its configuration.
package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	schedv1 "k8s.io/kube-scheduler/config/v1"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	schedscheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	configv1 "github.com/kube-mesos/kube-mesos/plugins/apis/config/v1"
)

var (
	// Scheme is kube-scheduler's scheme, with our types added.
	Scheme = schedscheme.Scheme
	// Codecs encodes and decodes the types of Scheme; unknown and duplicate
	// fields are errors.
	Codecs = serializer.NewCodecFactory(Scheme, serializer.EnableStrict)
)

func init() {
	// kube-scheduler converts plugin arguments in a second scheme, which it
	// builds from these two builders when it decodes its first configuration.
	// Adding to that scheme itself would build it now, before the init functions
	// of other plugins' packages had their turn.
	schedconfig.SchemeBuilder.Register(config.AddToScheme)
	schedv1.SchemeBuilder.Register(configv1.AddToScheme)
	// Failing to register is a fault of the binary, not of any input.
	utilruntime.Must(AddToScheme(Scheme))
}

// AddToScheme registers the internal and the v1 form of our types, with defaults
// and conversions. It fails if the scheme holds other types by the same names.
func AddToScheme(scheme *runtime.Scheme) error {
	builder := runtime.NewSchemeBuilder(config.AddToScheme, configv1.AddToScheme)
	return builder.AddToScheme(scheme)
}

// DefaultArgs returns the arguments a configuration gets that names nothing but
// these masters, in internal form.
func DefaultArgs(masters ...string) (*config.MesosOffersArgs, error) {
	versioned := &configv1.MesosOffersArgs{Masters: masters}
	Scheme.Default(versioned)
	args := &config.MesosOffersArgs{}
	if err := Scheme.Convert(versioned, args, nil); err != nil {
		return nil, err
	}
	return args, nil
}
