package tracing

import (
	"fmt"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// attributes turns fields of a log line into attributes of the same names, with praefect in front.
func attributes(fields []zap.Field) []attribute.KeyValue {
	known := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(known)
	}
	all := make([]attribute.KeyValue, 0, len(known.Fields))
	for name, value := range known.Fields {
		all = append(all, attributeOf("praefect."+name, value))
	}
	return all
}

func attributeOf(name string, value any) attribute.KeyValue {
	switch value := value.(type) {
	case string:
		return attribute.String(name, legible(value))
	case int64:
		return attribute.Int64(name, value)
	case uint64:
		if value <= math.MaxInt64 {
			return attribute.Int64(name, int64(value))
		}
	case bool:
		return attribute.Bool(name, value)
	}
	return attribute.String(name, fmt.Sprint(value))
}
