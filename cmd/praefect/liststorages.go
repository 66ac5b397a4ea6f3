package main

import (
	"context"
	"io"

	"github.com/urfave/cli/v3"

	"praefect/cmd/internal/configfile"
)

func listStoragesCommand() *cli.Command {
	return &cli.Command{
		Name:        "list-storages",
		Usage:       "list the configured virtual storages and their nodes",
		Description: "Reads the configuration only.",
		Flags:       []cli.Flag{virtualStorageFlag(false), jsonFlag()},
		Action:      subcommand(listStorages),
	}
}

// listed is one node; its token is nobody's business.
type listed struct {
	VirtualStorage string `json:"virtual_storage"`
	Node           string `json:"node"`
	Address        string `json:"address"`
}

func listStorages(_ context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	out, wanted := cmd.Root().Writer, cmd.String(flagVirtualStorage)
	nodes := []listed{}
	for _, virtual := range config.VirtualStorages {
		for _, node := range virtual.Nodes {
			if wanted == "" || wanted == virtual.Name {
				nodes = append(nodes, listed{virtual.Name, node.Storage, node.Address})
			}
		}
	}

	switch {
	case cmd.Bool(flagJSON):
		return sayJSON(out, nodes)
	case len(nodes) == 0:
		return say(out, "No virtual storages named %s.\n", wanted)
	}
	rows := [][]string{{"VIRTUAL_STORAGE", "NODE", "ADDRESS"}}
	for _, node := range nodes {
		rows = append(rows, []string{node.VirtualStorage, node.Node, node.Address})
	}

	return sayTable(out, rows)
}

// sayTable prints columns as wide as their widest cell, with a blank on either side.
func sayTable(out io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	p := &printer{out: out}
	for _, row := range rows {
		for i, cell := range row {
			p.say(" %-*s ", widths[i], cell)
		}
		p.say("\n")
	}

	return p.err
}
