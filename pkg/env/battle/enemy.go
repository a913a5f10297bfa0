package battle

// opponents are the living of the other army when the tick began.
func (b *battle) opponents(u int) []int {
	if u < b.na {
		return b.living[b.livingAllies:]
	}
	return b.living[:b.livingAllies]
}

// comrades are the living of u's army, u among them, when the tick began.
func (b *battle) comrades(u int) []int {
	if u < b.na {
		return b.living[:b.livingAllies]
	}
	return b.living[b.livingAllies:]
}

// chooseTargets is the model of the engine's attack-move (SMAClite, unit_command.py, AttackMoveCommand): each
// hunter keeps or drops its target, then those without one look for the nearest. Whom others attack is read as
// it was before, so the order of units does not matter.
func (b *battle) chooseTargets() {
	aims := b.aims[:b.n]
	copy(aims, b.target)
	for _, u := range b.living {
		if b.order[u] != hunt {
			continue
		}
		if t := b.target[u]; t != nobody && aims[t] != int16(u) && !b.reaches(u, int(t)) {
			b.target[u] = nobody // it left, and does not attack u: u would chase it then
		}
		if b.armory.kinds[b.kind[u]].attack == Heal {
			if b.target[u] == nobody {
				b.target[u] = b.findPatient(u, aims)
			}
			continue
		}
		b.findTarget(u, aims)
	}
}

// reaches says whether t is in u's weapon range, from edge to edge.
func (b *battle) reaches(u, t int) bool {
	dx, dy := b.x[t]-b.x[u], b.y[t]-b.y[u]
	return dx*dx+dy*dy <= b.armory.versus(b.kind[u], b.kind[t]).reach2
}

// findTarget gives u the best opponent that it can hit: healers first, then the nearest in its scan, then
// anybody who attacks it. A unit with a target changes it only for a healer in its scan.
func (b *battle) findTarget(u int, aims []int16) {
	old := b.target[u]
	if old != nobody && (b.healers[1-b.army(u)] == 0 || b.armory.kinds[b.kind[old]].attack == Heal) {
		return
	}
	best, bestRank, nearest := int16(nobody), 2, float32(0)
	x, y := b.x[u], b.y[u]
	for _, v := range b.opponents(u) {
		against := b.armory.versus(b.kind[u], b.kind[v])
		dx, dy := b.x[v]-x, b.y[v]-y
		d2 := dx*dx + dy*dy
		if d2 >= against.scan2 {
			if old != nobody || aims[v] != int16(u) {
				continue
			}
			d2 = far2
		}
		if !against.can {
			continue
		}
		rank := 1
		if b.armory.kinds[b.kind[v]].attack == Heal {
			rank = 0
		} else if old != nobody {
			continue
		}
		if rank < bestRank || rank == bestRank && d2 < nearest {
			best, bestRank, nearest = int16(v), rank, d2
		}
	}
	if best != nobody {
		b.target[u] = best
	}
}

// far2 stands for the squared distance of an attacker out of scan: it comes last.
const far2 = 1e12

// findPatient returns the comrade with the least hp, of those in u's scan that are hurt or have a target.
func (b *battle) findPatient(u int, aims []int16) int16 {
	best, least := int16(nobody), float32(0)
	for _, v := range b.comrades(u) {
		if !b.couldHeal(u, v) || aims[v] == nobody && b.hp[v] >= b.armory.kinds[b.kind[v]].hp {
			continue
		}
		if best == nobody || b.hp[v] < least {
			best, least = int16(v), b.hp[v]
		}
	}
	return best
}

// couldHeal says whether u may heal v, a comrade in its scan. A healer heals nobody that it cannot hit: flyers.
func (b *battle) couldHeal(u, v int) bool {
	against := b.armory.versus(b.kind[u], b.kind[v])
	dx, dy := b.x[v]-b.x[u], b.y[v]-b.y[u]
	return u != v && against.can && dx*dx+dy*dy < against.scan2
}

// orderEnemies gives the enemies their orders for this environment step.
func (b *battle) orderEnemies() {
	for _, u := range b.living[b.livingAllies:] {
		switch {
		case b.world.Epsilon > 0 && b.rand.Float64() < b.world.Epsilon:
			b.orderAnything(u)
		case b.world.Enemy == AttackMove:
			if b.order[u] != hunt {
				b.order[u], b.target[u] = hunt, nobody
			}
		default:
			b.orderHeuristic(u)
		}
	}
}

// orderAnything gives an enemy a random legal order: to stand, to walk where there is no wall, or to attack one
// of those in reach.
func (b *battle) orderAnything(u int) {
	legal := 1
	var ways [4]int
	free := 0
	for way := range steps {
		if b.canWalk(u, way) {
			ways[free] = way
			free++
		}
	}
	legal += free
	for _, v := range b.victims(u) {
		if b.mayOrder(u, v) {
			legal++
		}
	}
	b.target[u] = nobody
	k := b.rand.IntN(legal)
	switch {
	case k == 0:
		b.order[u] = stop
	case k <= free:
		b.orderMove(u, ways[k-1])
	default:
		k -= 1 + free
		for _, v := range b.victims(u) {
			if b.mayOrder(u, v) {
				if k == 0 {
					b.order[u], b.target[u] = attack, int16(v)
					return
				}
				k--
			}
		}
	}
}

// victims are whom u's actions are about: the patients of a healer, the opponents of a fighter.
func (b *battle) victims(u int) []int {
	if b.armory.kinds[b.kind[u]].attack == Heal {
		return b.comrades(u)
	}
	return b.opponents(u)
}

// orderHeuristic is the scripted enemy of SMAX (JaxMARL, environments/smax/heuristic_enemy.py): attack who is in
// weapon range, the last target if it still is, otherwise the nearest or, for Anyone, a random one. With nobody
// in range walk towards a random opponent in sight or, with none in sight, towards the place opposite one's own
// start. SMAX has no healers: ours heal the comrade with the least hp in range, or walk with a random comrade.
func (b *battle) orderHeuristic(u int) {
	inRange, inSight := 0, 0
	last, best := b.target[u], nobody
	least := float32(0)
	kept := false
	heals := b.armory.kinds[b.kind[u]].attack == Heal
	sees := b.armory.kinds[b.kind[u]].sight
	chosen, visible := nobody, nobody
	for _, v := range b.victims(u) {
		against := b.armory.versus(b.kind[u], b.kind[v])
		dx, dy := b.x[v]-b.x[u], b.y[v]-b.y[u]
		d2 := dx*dx + dy*dy
		if v == u || d2 > sees*sees {
			continue
		}
		if inSight++; b.rand.IntN(inSight) == 0 {
			visible = v
		}
		if !against.can || d2 > against.reach2 {
			continue
		}
		rank := d2
		if heals {
			if rank = b.hp[v]; rank >= b.armory.kinds[b.kind[v]].hp {
				continue
			}
		}
		kept = kept || int16(v) == last
		if best == nobody || rank < least {
			best, least = v, rank
		}
		if inRange++; b.world.Enemy == Anyone && b.rand.IntN(inRange) == 0 {
			chosen = v
		}
	}
	switch {
	case kept && !heals:
		b.order[u] = attack
	case best != nobody:
		if chosen == nobody {
			chosen = best
		}
		b.order[u], b.target[u] = attack, int16(chosen)
	case visible != nobody:
		b.orderWalkTowards(u, b.x[visible], b.y[visible])
	default:
		b.orderWalkTowards(u, b.field.width-b.startX[u], b.field.height-b.startY[u])
	}
}

// orderWalkTowards picks of the four directions the one that leads there best.
func (b *battle) orderWalkTowards(u int, x, y float32) {
	best, most := 0, float32(0)
	for way, s := range steps {
		if dot := s[0]*(x-b.x[u]) + s[1]*(y-b.y[u]); way == 0 || dot > most {
			best, most = way, dot
		}
	}
	b.target[u] = nobody
	b.orderMove(u, best)
}
