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

package mesosstate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds an answer of a master, in bytes: a master of 10,000 agents
// answers /state with some tens of megabytes.
const maxBody = 1 << 30

// Client reads one master, following its redirects to the leader.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client of the master at "host:port" or at an http(s)
// URL. Each request may take as long as its context allows.
func NewClient(master string) (*Client, error) {
	if !strings.Contains(master, "://") {
		master = "http://" + master
	}
	u, err := url.Parse(master)
	if err != nil {
		return nil, fmt.Errorf("address of the Mesos master: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("address of the Mesos master: %q is neither host:port nor an http or https URL", master)
	}
	return &Client{
		base: u.Scheme + "://" + u.Host,
		// A master that is not the leader answers 307 with a scheme-relative
		// Location, which net/http follows for GET.
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: false,
		}},
	}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return fmt.Errorf("Mesos master GET %s: %w", path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("Mesos master: %w", err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxBody)
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 512))
		return fmt.Errorf("Mesos master GET %s: %s: %s", resp.Request.URL, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("Mesos master GET %s: decode its answer: %w", resp.Request.URL, err)
	}
	return nil
}

// The wire forms of /state and /slaves, only what is used of them.
type (
	wireAgent struct {
		ID       string  `json:"id"`
		Hostname string  `json:"hostname"`
		Active   bool    `json:"active"`
		Total    scalars `json:"resources"`
		Used     scalars `json:"used_resources"`
		Offered  scalars `json:"offered_resources"`
	}
	wireTask struct {
		ID          string  `json:"id"`
		Name        string  `json:"name"`
		FrameworkID string  `json:"framework_id"`
		AgentID     string  `json:"slave_id"`
		State       string  `json:"state"`
		Resources   scalars `json:"resources"`
	}
	wireFramework struct {
		ID        string     `json:"id"`
		Name      string     `json:"name"`
		Active    bool       `json:"active"`
		Connected bool       `json:"connected"`
		Offered   scalars    `json:"offered_resources"`
		Tasks     []wireTask `json:"tasks"`
	}
	wireState struct {
		Agents     []wireAgent     `json:"slaves"`
		Frameworks []wireFramework `json:"frameworks"`
	}
)

// State reads /state.
func (c *Client) State(ctx context.Context) (*State, error) {
	var wire wireState
	if err := c.get(ctx, "/state", &wire); err != nil {
		return nil, err
	}
	state := &State{Agents: agents(wire.Agents)}
	for _, f := range wire.Frameworks {
		framework := Framework{
			ID: f.ID, Name: f.Name, Active: f.Active, Connected: f.Connected, Offered: f.Offered.resources(),
		}
		for _, t := range f.Tasks {
			framework.Tasks = append(framework.Tasks, Task{
				ID: t.ID, Name: t.Name, FrameworkID: f.ID, AgentID: t.AgentID, State: t.State,
				Resources: t.Resources.resources(),
			})
		}
		state.Frameworks = append(state.Frameworks, framework)
	}
	return state, nil
}

// Agents reads /slaves: the registered agents.
func (c *Client) Agents(ctx context.Context) ([]Agent, error) {
	var wire wireState
	if err := c.get(ctx, "/slaves", &wire); err != nil {
		return nil, err
	}
	return agents(wire.Agents), nil
}

// Metrics reads /metrics/snapshot.
func (c *Client) Metrics(ctx context.Context) (Metrics, error) {
	metrics := Metrics{}
	if err := c.get(ctx, "/metrics/snapshot", &metrics); err != nil {
		return nil, err
	}
	return metrics, nil
}

func agents(wire []wireAgent) []Agent {
	out := make([]Agent, 0, len(wire))
	for _, a := range wire {
		out = append(out, Agent{
			ID: a.ID, Hostname: a.Hostname, Active: a.Active,
			Total: a.Total.resources(), Used: a.Used.resources(), Offered: a.Offered.resources(),
		})
	}
	return out
}

// escape encodes a framework's name as metric keys do.
func escape(name string) string { return url.PathEscape(name) }
