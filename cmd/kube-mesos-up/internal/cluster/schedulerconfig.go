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
	"fmt"

	"sigs.k8s.io/yaml"
)

// pluginName is the name of our scheduler plugin in a KubeSchedulerConfiguration.
const pluginName = "MesosOffers"

// defaultFrameworkName is the name of the Mesos framework where the
// configuration gives none.
const defaultFrameworkName = "kube-mesos"

// schedulerConfig is a KubeSchedulerConfiguration fitted to a local cluster.
type schedulerConfig struct {
	// yaml is the file for the scheduler.
	yaml []byte
	// frameworkName is how the scheduler registers with Mesos.
	frameworkName string
}

// fitSchedulerConfig points a KubeSchedulerConfiguration to this cluster: it
// replaces the Mesos masters of every MesosOffers plugin and the kubeconfig, and
// leaves everything else alone.
func fitSchedulerConfig(data []byte, master, kubeconfig string) (*schedulerConfig, error) {
	var config map[string]any
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		return nil, fmt.Errorf("scheduler configuration: %w", err)
	}
	connection, err := object(config, "clientConnection")
	if err != nil {
		return nil, err
	}
	connection["kubeconfig"] = kubeconfig
	result := &schedulerConfig{frameworkName: defaultFrameworkName}
	found := false
	profiles, _ := config["profiles"].([]any)
	for _, p := range profiles {
		profile, _ := p.(map[string]any)
		plugins, _ := profile["pluginConfig"].([]any)
		for _, c := range plugins {
			plugin, _ := c.(map[string]any)
			if plugin["name"] != pluginName {
				continue
			}
			args, err := object(plugin, "args")
			if err != nil {
				return nil, err
			}
			args["masters"] = []any{master}
			framework, _ := args["framework"].(map[string]any)
			if name, ok := framework["name"].(string); ok && name != "" {
				result.frameworkName = name
			}
			found = true
		}
	}
	if !found {
		return nil, fmt.Errorf("scheduler configuration: no profile has a pluginConfig for %s", pluginName)
	}
	if result.yaml, err = yaml.Marshal(config); err != nil {
		return nil, fmt.Errorf("scheduler configuration: %w", err)
	}
	return result, nil
}

// object returns the object at a key, adding an empty one where there is none.
func object(in map[string]any, key string) (map[string]any, error) {
	value, ok := in[key]
	if !ok || value == nil {
		added := map[string]any{}
		in[key] = added
		return added, nil
	}
	out, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("scheduler configuration: %s is not an object", key)
	}
	return out, nil
}
