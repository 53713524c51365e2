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

package allocator

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// Bounds of a pattern by the default flags of a master: a program RE2 compiles
// must fit into two thirds of --offer_constraints_re2_max_mem (4 kB; 8 bytes for
// an instruction, 416 for the program itself), and then not exceed
// --offer_constraints_re2_max_program_size. RE2 and Go count alike for plain
// patterns; RE2 needs more instructions for characters beyond ASCII.
const (
	maxRegexMemory       = 4096
	maxRegexCompiled     = (maxRegexMemory*2/3 - 416) / 8
	maxRegexInstructions = 100
)

// regexErrors are RE2's words for the errors Go has as well (RE2 regexp.cc
// kErrorStrings).
var regexErrors = map[syntax.ErrorCode]string{
	syntax.ErrInternalError:         "unexpected error",
	syntax.ErrInvalidEscape:         "invalid escape sequence",
	syntax.ErrInvalidCharClass:      "invalid character class",
	syntax.ErrInvalidCharRange:      "invalid character class range",
	syntax.ErrMissingBracket:        "missing ]",
	syntax.ErrMissingParen:          "missing )",
	syntax.ErrUnexpectedParen:       "unexpected )",
	syntax.ErrTrailingBackslash:     `trailing \`,
	syntax.ErrMissingRepeatArgument: "no argument for repetition operator",
	syntax.ErrInvalidRepeatSize:     "invalid repetition size",
	syntax.ErrInvalidRepeatOp:       "bad repetition operator",
	syntax.ErrInvalidPerlOp:         "invalid perl operator",
	syntax.ErrInvalidUTF8:           "invalid UTF-8",
	syntax.ErrInvalidNamedCapture:   "invalid named capture group",
	syntax.ErrLarge:                 "invalid repetition size",
	syntax.ErrNestingDepth:          "unexpected error",
}

// compilePattern compiles a pattern for a full match, and says why it is refused
// in the words of a master (Mesos offer_constraints_filter.cpp createRE2).
func compilePattern(pattern string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			text := regexErrors[se.Code]
			if se.Expr != "" && se.Code != syntax.ErrInvalidUTF8 {
				text += ": " + se.Expr
			}
			err = errors.New(text)
		}
		return nil, fmt.Errorf("Failed to construct regex from pattern '%s': %w", pattern, err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(prog.Inst) > maxRegexCompiled {
		return nil, fmt.Errorf("Failed to construct regex from pattern '%s': pattern too large - compile failed", pattern)
	}
	if n := len(prog.Inst); n > maxRegexInstructions {
		return nil, fmt.Errorf("Regex '%s' is too complex: program size of %d is larger than maximum of %d allowed", pattern, n, maxRegexInstructions)
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}
