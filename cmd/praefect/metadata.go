package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

func metadataCommand() *cli.Command {
	return &cli.Command{
		Name:  "metadata",
		Usage: "show what is recorded about a repository",
		Description: "Asks the running Praefect. The repository is named by its id, or by its " +
			"virtual storage and relative path.",
		Flags: []cli.Flag{
			repositoryIDFlag(), virtualStorageFlag(false), relativePathFlag(false), jsonFlag(),
		},
		Action: subcommand(showMetadata),
	}
}

func showMetadata(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	request, err := metadataQuery(cmd)
	if err != nil {
		return err
	}

	return askPraefect(config, func(client gitalypb.PraefectInfoServiceClient) error {
		answer, err := client.GetRepositoryMetadata(ctx, request)
		if err != nil {
			return fmt.Errorf("get metadata: %w", err)
		}
		if cmd.Bool(flagJSON) {
			return sayJSON(cmd.Root().Writer, knowledgeOf(answer))
		}

		return sayMetadata(cmd.Root().Writer, answer)
	})
}

func metadataQuery(cmd *cli.Command) (*gitalypb.GetRepositoryMetadataRequest, error) {
	id := cmd.Int64(flagRepositoryID)
	virtual, path := cmd.String(flagVirtualStorage), cmd.String(flagRelativePath)

	switch {
	case id != 0 && (virtual != "" || path != ""):
		return nil, errors.New(
			"virtual storage and relative path can't be provided with a repository ID")
	case id != 0:
		return &gitalypb.GetRepositoryMetadataRequest{
			Query: &gitalypb.GetRepositoryMetadataRequest_RepositoryId{RepositoryId: id},
		}, nil
	case virtual == "" && path == "":
		return nil, errors.New("repository ID or virtual storage and relative path required")
	case virtual == "":
		return nil, errors.New("virtual storage is required with relative path")
	case path == "":
		return nil, errors.New("relative path is required with virtual storage")
	}

	return &gitalypb.GetRepositoryMetadataRequest{
		Query: &gitalypb.GetRepositoryMetadataRequest_Path_{
			Path: &gitalypb.GetRepositoryMetadataRequest_Path{
				VirtualStorage: virtual, RelativePath: path,
			},
		},
	}, nil
}

func sayMetadata(out io.Writer, answer *gitalypb.GetRepositoryMetadataResponse) error {
	p := &printer{out: out}
	p.say("Repository ID: %d\n", answer.GetRepositoryId())
	p.say("Virtual Storage: %q\n", answer.GetVirtualStorage())
	p.say("Relative Path: %q\n", answer.GetRelativePath())
	p.say("Replica Path: %q\n", answer.GetReplicaPath())
	p.say("Primary: %q\n", answer.GetPrimary())
	p.say("Generation: %d\n", answer.GetGeneration())
	p.say("Replicas:\n")
	for _, replica := range answer.GetReplicas() {
		verified := "unverified"
		if at := replica.GetVerifiedAt(); at != nil {
			verified = at.AsTime().UTC().String()
		}
		p.say("- Storage: %q\n", replica.GetStorage())
		p.say("  Assigned: %t\n", replica.GetAssigned())
		p.say("  Generation: %s\n", standing(answer.GetGeneration(), replica.GetGeneration()))
		p.say("  Healthy: %t\n", replica.GetHealthy())
		p.say("  Valid Primary: %t\n", replica.GetValidPrimary())
		p.say("  Verified At: %s\n", verified)
	}

	return p.err
}

// standing says how far a replica is behind its repository.
func standing(repository, replica int64) string {
	switch {
	case replica < 0:
		return "replica not yet created"
	case replica < repository:
		return fmt.Sprintf("%d, behind by %d changes", replica, repository-replica)
	default:
		return fmt.Sprintf("%d, fully up to date", replica)
	}
}

// knowledge is what programs are told about a repository.
type knowledge struct {
	RepositoryID   int64            `json:"repository_id"`
	VirtualStorage string           `json:"virtual_storage"`
	RelativePath   string           `json:"relative_path"`
	ReplicaPath    string           `json:"replica_path"`
	Primary        string           `json:"primary"`
	Generation     int64            `json:"generation"`
	Replicas       []replicaDetails `json:"replicas"`
}

// replicaDetails has generation -1 where there is no replica.
type replicaDetails struct {
	Storage      string     `json:"storage"`
	Assigned     bool       `json:"assigned"`
	Generation   int64      `json:"generation"`
	Healthy      bool       `json:"healthy"`
	ValidPrimary bool       `json:"valid_primary"`
	VerifiedAt   *time.Time `json:"verified_at"`
}

func knowledgeOf(answer *gitalypb.GetRepositoryMetadataResponse) knowledge {
	known := knowledge{
		RepositoryID: answer.GetRepositoryId(), VirtualStorage: answer.GetVirtualStorage(),
		RelativePath: answer.GetRelativePath(), ReplicaPath: answer.GetReplicaPath(),
		Primary: answer.GetPrimary(), Generation: answer.GetGeneration(),
		Replicas: []replicaDetails{},
	}
	for _, replica := range answer.GetReplicas() {
		details := replicaDetails{
			Storage: replica.GetStorage(), Assigned: replica.GetAssigned(),
			Generation: replica.GetGeneration(), Healthy: replica.GetHealthy(),
			ValidPrimary: replica.GetValidPrimary(),
		}
		if at := replica.GetVerifiedAt(); at != nil {
			verified := at.AsTime()
			details.VerifiedAt = &verified
		}
		known.Replicas = append(known.Replicas, details)
	}

	return known
}
