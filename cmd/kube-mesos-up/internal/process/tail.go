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

package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// tailBytes bounds how much of a log's end is read.
const tailBytes = 64 << 10

// Tail returns at most the last n lines of a log file, from its last 64 KiB.
func Tail(path string, n int) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the end of a log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the end of a log: %w", err)
	}
	start := max(0, info.Size()-tailBytes)
	data, err := io.ReadAll(io.NewSectionReader(f, start, info.Size()-start))
	if err != nil {
		return "", fmt.Errorf("read the end of %s: %w", path, err)
	}
	return string(lastLines(data, n)), nil
}

// lastLines cuts data down to its last n lines, without the final newline.
func lastLines(data []byte, n int) []byte {
	data = bytes.TrimRight(data, "\n")
	if n <= 0 {
		return nil
	}
	for i := len(data) - 1; i >= 0; i-- {
		if data[i] != '\n' {
			continue
		}
		if n--; n == 0 {
			return data[i+1:]
		}
	}
	return data
}
