package abstract

func (s *State) enlisted(e Event) string {
	if s.living[e.Proxy] {
		return "it lives"
	}
	s.living[e.Proxy] = true
	return ""
}

func (s *State) ended(e Event) string {
	delete(s.living, e.Proxy)
	return ""
}

func (s *State) opened(e Event) string {
	if text := why(
		reason{s.open != nil, "another turn is open"},
		reason{!s.living[e.Proxy], "the incarnation has no lease"},
		reason{s.turns[e.Write] != nil, "the turn was opened before"},
		reason{
			e.Generation != s.generation || e.Epoch != s.epoch || e.Primary != s.primary,
			"what was read is not what is there",
		},
	); text != "" {
		return text
	}
	s.open = &turn{write: e.Write, proxy: e.Proxy, nodes: e.Nodes}
	s.turns[e.Write] = s.open
	if e.Nodes == 0 {
		s.held[s.generation] = true
	}
	return ""
}

func (s *State) unvoted(e Event) string {
	if !s.owned(e.Write) {
		return "the turn is not open"
	}
	s.open.unvoted = true
	return ""
}

func (s *State) told(e Event) string {
	if text := why(
		reason{!s.owned(e.Write), "the turn is not in the hands of the write"},
		reason{s.open != nil && !s.open.nodes.Has(e.Node), "the node takes no part"},
		reason{!s.current().Has(e.Node), "the replica is not current"},
	); text != "" {
		return text
	}
	s.open.told = s.open.told.With(e.Node)
	return ""
}

func (s *State) applied(e Event) string {
	of := s.turns[e.Write]
	if text := why(
		reason{of == nil || !of.told.Has(e.Node), "the node was not told to"},
		reason{of != nil && of.refused, "the client was told that nothing happened"},
	); text != "" {
		return text
	}
	of.applied = of.applied.With(e.Node)
	return ""
}

func (s *State) recorded(e Event) string {
	if !s.owned(e.Write) {
		return "the turn is not in the hands of the write"
	}
	epoch := s.epoch
	if e.Primary != s.primary {
		epoch++
	}
	of := s.open
	undone := e.Outcome == Undone
	if text := why(
		reason{e.Generation != s.generation+1, "the generation does not rise by one"},
		reason{e.Epoch != epoch, "the epoch rises if the primary changes, and only then"},
		reason{!e.Nodes.Has(e.Primary), "the primary is not raised"},
		reason{!e.Nodes.Within(s.current() & of.nodes), "whoever is raised was not at the base"},
		reason{!undone && !of.unvoted && !e.Nodes.Within(of.applied), "nobody saw it applied"},
		reason{
			undone && e.Nodes&of.applied != 0 && e.Nodes.Size() > 1,
			"a replica that has it is raised without it",
		},
	); text != "" {
		return text
	}
	s.raise(e)
	of.recorded, of.undone, of.copies = true, undone, e.Nodes
	of.generation, of.epoch = s.generation, s.epoch
	s.open, s.last = nil, of
	return ""
}

func (s *State) confirmed(e Event) string {
	of := s.last
	if text := why(
		reason{
			of == nil || of.generation != s.generation || of.epoch != s.epoch,
			"the repository has moved on",
		},
		reason{s.at[e.Node] != s.generation-1, "the replica was not at the base"},
		reason{s.claims[e.Node] != 0, "a repair of it has begun"},
		reason{of != nil && (of.undone || !of.applied.Has(e.Node)), "it does not have the write"},
	); text != "" {
		return text
	}
	of.copies = of.copies.With(e.Node)
	s.at[e.Node] = s.generation
	return ""
}

func (s *State) closed(e Event) string {
	if !s.owned(e.Write) {
		return ""
	}
	if s.open.applied != 0 {
		return "a node has the write"
	}
	s.open = nil
	return ""
}

func (s *State) marked(e Event) string {
	if s.open != nil && s.open.write == e.Write {
		s.open.marked = true
	}
	return ""
}

func (s *State) answered(e Event) string {
	of := s.turns[e.Write]
	if of == nil {
		return "there was no such turn"
	}
	done, none := e.Outcome == Done, e.Outcome == None
	if text := why(
		reason{done && (!of.recorded || of.undone), "it is not recorded"},
		reason{done && of.copies.Size() < s.minimum, "it has too few copies"},
		reason{none && (of.recorded || of.applied != 0), "it has happened"},
	); text != "" {
		return text
	}
	of.refused = none
	return ""
}
