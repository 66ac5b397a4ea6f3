package abstract

func (s *State) adopted(e Event) string {
	of := s.open
	if of == nil || of.write != e.Write {
		return "the turn is not open"
	}
	if text := why(
		reason{!s.orphaned(), "somebody who lives has it in hand"},
		reason{!s.living[e.Proxy], "the adopter has no lease"},
		reason{e.Number != of.number+1, "the number does not rise by one"},
		reason{e.Epoch != s.epoch+1, "the epoch does not rise by one"},
	); text != "" {
		return text
	}
	of.adopter, of.number, s.epoch = e.Proxy, e.Number, e.Epoch
	return ""
}

// decides says why a proxy may not decide about the open turn.
func (s *State) decides(e Event) string {
	of := s.open
	if of == nil || of.write != e.Write {
		return "the turn is not open"
	}
	if e.Number == 0 {
		return why(
			reason{!s.owned(e.Write) || of.proxy != e.Proxy, "the turn is somebody else's"},
			reason{of.nodes != 0, "a write is under way"},
		)
	}
	return why(reason{of.adopter != e.Proxy || of.number != e.Number, "it was adopted anew"})
}

func (s *State) resolved(e Event) string {
	if text := s.decides(e); text != "" {
		return text
	}
	if text := why(
		reason{e.Generation != s.generation+1, "the generation does not rise by one"},
		reason{e.Epoch != s.epoch+1, "the epoch does not rise by one"},
		reason{!e.Nodes.Has(e.Primary), "the primary is not kept"},
		reason{!e.Nodes.Within(s.current()), "whoever is kept was not current"},
	); text != "" {
		return text
	}
	s.raise(e)
	s.open, s.last = nil, nil
	return ""
}

func (s *State) dropped(e Event) string {
	if text := s.decides(e); text != "" {
		return text
	}
	if s.open.nodes&s.current() != 0 {
		return "a write is in doubt"
	}
	s.open = nil
	return ""
}

func (s *State) elected(e Event) string {
	if !s.owned(e.Write) {
		return "the turn is not held"
	}
	changed := e.Epoch != s.epoch
	if text := why(
		reason{s.open.nodes != 0, "a write is under way"},
		reason{e.Primary != s.primary && !changed, "the epoch does not rise"},
		reason{changed && e.Epoch != s.epoch+1, "the epoch does not rise by one"},
		reason{changed && !s.current().Has(e.Primary), "the primary is not current"},
	); text != "" {
		return text
	}
	s.primary, s.epoch, s.open = e.Primary, e.Epoch, nil
	return ""
}

func (s *State) claimed(e Event) string {
	if s.at[e.Node] == s.generation {
		return "the replica is current"
	}
	s.claims[e.Node] = e.Number
	return ""
}

func (s *State) emptied(e Event) string {
	if text := why(
		reason{s.claims[e.Node] != e.Number, "the claim is somebody else's"},
		reason{s.at[e.Node] == s.generation, "the replica is current"},
	); text != "" {
		return text
	}
	s.at[e.Node] = absent
	return ""
}

func (s *State) repaired(e Event) string {
	before := s.at[e.Node]
	if text := why(
		reason{s.claims[e.Node] != e.Number, "the claim is somebody else's"},
		reason{e.Generation < before, "the generation is lowered"},
		reason{
			e.Generation != before && !s.held[e.Generation],
			"nobody read that generation under the turn",
		},
	); text != "" {
		return text
	}
	s.at[e.Node] = e.Generation
	if e.Generation == s.generation {
		s.claims[e.Node] = 0
	}
	return ""
}
