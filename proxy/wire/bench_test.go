package wire_test

import (
	"fmt"
	"testing"

	"praefect/proxy/gitalypb"
	"praefect/proxy/wire"
)

func push(b *testing.B, payload int) []byte {
	b.Helper()
	return encode(b, &gitalypb.PostReceivePackRequest{
		Repository: &gitalypb.Repository{
			StorageName: "default", RelativePath: "@hashed/6b/86/6b86b273ff34fce1.git",
			GlRepository: "project-1", GlProjectPath: "group/project",
		},
		Data: make([]byte, payload), GlId: "user-1", GlUsername: "someone",
	})
}

func BenchmarkLocate(b *testing.B) {
	for _, payload := range []int{0, 1 << 20} {
		b.Run(fmt.Sprintf("payload=%d", payload), func(b *testing.B) {
			msg := push(b, payload)
			path := []int32{1}
			b.ReportAllocs()
			for b.Loop() {
				if _, found, err := wire.Locate(msg, path); err != nil || !found {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkRewrite(b *testing.B) {
	for _, payload := range []int{0, 1 << 20} {
		b.Run(fmt.Sprintf("payload=%d", payload), func(b *testing.B) {
			msg := push(b, payload)
			edit := wire.Edit{Path: []int32{1}, Repository: wire.Repository{
				StorageName: "gitaly-1", RelativePath: "@cluster/repositories/6b/86/1",
			}}
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if _, err := wire.Rewrite(nil, msg, edit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
