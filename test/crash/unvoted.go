package main

import "context"

// prune is a fetch that finds a reference gone: it removes it, and no node votes on that.
func prune() scene {
	return scene{
		name: "prune",
		act: func(ctx context.Context, t *take) answer {
			return t.carrier.fetch(ctx, t.goods.source)
		},
		judge: func(t *take, found state) error {
			if _, err := t.judgeMain(found); err != nil {
				return err
			}

			return t.judgeOne("the removal", found.refs[refOther] == "")
		},
		write: rewrite,
	}
}

// silentDeletion is a push that removes a reference without saying what it was, on which no node
// votes, and then changes another one.
func silentDeletion() scene {
	return scene{
		name: "silent-deletion",
		act: func(ctx context.Context, t *take) answer {
			return t.carrier.push(ctx, t.goods, []update{
				{refOther, zeroID, zeroID},
				{refMain, t.goods.base, t.goods.change},
			}, pushSerial)
		},
		judge: judgeUpdates(false, func(goods *material) []update {
			return []update{
				{refMain, goods.base, goods.change},
				{refOther, goods.base, zeroID},
			}
		}),
		write: rewrite,
	}
}
