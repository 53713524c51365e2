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

package mesos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"
)

// outlive deals with the removal of our framework: once the owner says so, the session
// goes on with the FrameworkID that the store has then, none for a new framework. Until
// then the master is left alone.
func (s *Session) outlive(ctx context.Context, removed error) error {
	klog.FromContext(ctx).Error(removed, "The Mesos master removed our framework", "frameworkID", s.frameworkID)
	for {
		err := s.askRemoved(ctx, removed)
		if err == nil {
			s.setFrameworkID("")
			return nil
		}
		s.setState(StateRemoved, fmt.Errorf("%w: %w", removed, err))
		klog.FromContext(ctx).Error(err, "Not subscribing: the framework was removed", "frameworkID", s.frameworkID)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(s.cfg.BackoffMax):
		}
	}
}

func (s *Session) askRemoved(ctx context.Context, removed error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	return s.cfg.Removed(ctx, s.frameworkID, removed.Error())
}

// survivable tells whether the session may go on after err, which ended a subscription
// for good.
func (s *Session) survivable(err error) bool {
	return errors.Is(err, ErrFrameworkRemoved) && s.cfg.Removed != nil
}
