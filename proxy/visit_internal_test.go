package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"praefect/proxy/gitalypb"
)

// TestAbout reads what the line says of requests that the proxy answers itself. What they leave
// empty is left out.
func TestAbout(t *testing.T) {
	t.Parallel()
	repository := &gitalypb.Repository{
		StorageName: "default", RelativePath: "a.git", GlRepository: "project-1",
		GlProjectPath: "group/a",
	}
	bare := &gitalypb.Repository{StorageName: "default", RelativePath: "a.git"}
	for name, tc := range map[string]struct {
		request any
		want    map[string]any
	}{
		"repository": {
			&gitalypb.RepositoryExistsRequest{Repository: repository}, map[string]any{
				"virtual_storage": "default", "relative_path": "a.git",
				"grpc.request.repoStorage": "default", "grpc.request.repoPath": "a.git",
				"grpc.request.glRepository":  "project-1",
				"grpc.request.glProjectPath": "group/a",
			},
		},
		"bare repository": {
			&gitalypb.RemoveRepositoryRequest{Repository: bare}, map[string]any{
				"virtual_storage": "default", "relative_path": "a.git",
				"grpc.request.repoStorage": "default", "grpc.request.repoPath": "a.git",
			},
		},
		"pool": {
			&gitalypb.DeleteObjectPoolRequest{
				ObjectPool: &gitalypb.ObjectPool{Repository: repository},
			}, map[string]any{
				"virtual_storage": "default", "relative_path": "a.git",
				"grpc.request.pool.storage":           "default",
				"grpc.request.pool.relativePath":      "a.git",
				"grpc.request.pool.sourceProjectPath": "group/a",
			},
		},
		"storage": {
			&gitalypb.WalkReposRequest{StorageName: "default"}, map[string]any{
				"virtual_storage": "default", "grpc.request.StorageName": "default",
			},
		},
		"no repository": {&gitalypb.RepositoryExistsRequest{}, map[string]any{}},
		"no pool":       {&gitalypb.DeleteObjectPoolRequest{}, map[string]any{}},
		"nothing":       {&gitalypb.ServerInfoRequest{}, map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, v := enter(t.Context(), zap.NewNop(), "", "")
			v.about(tc.request)
			said := zapcore.NewMapObjectEncoder()
			for _, field := range v.fields {
				field.AddTo(said)
			}
			require.Equal(t, tc.want, said.Fields)
		})
	}
}
