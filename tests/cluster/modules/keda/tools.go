//go:build tools

package tools

import _ "github.com/kedacore/keda/v2/cmd/operator"
import _ "github.com/kedacore/keda/v2/cmd/adapter"
