package response

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// blockTable is the agent's own table in the machine's packet filter. It stays
// when the agent ends: blocks hold until their time is over.
const blockTable = "edr"

// loopback is the index of lo in every network namespace.
const loopback = 1

// maxBlocks bounds each set of blocks.
const maxBlocks = 65536

// blockSet holds blocks of one family, direction and shape: an address alone,
// with a protocol, or with protocol and port.
type blockSet struct {
	name  string
	v6    bool
	in    bool
	parts int // 1 address, 2 with the protocol, 3 with the port
}

func blockSets() []blockSet {
	var out []blockSet
	for _, dir := range []string{"out", "in"} {
		for _, family := range []string{"4", "6"} {
			for i, shape := range []string{"", "_proto", "_port"} {
				out = append(out, blockSet{name: dir + family + shape, v6: family == "6", in: dir == "in", parts: i + 1})
			}
		}
	}
	return out
}

// set is the set as the kernel has it.
func (s blockSet) set(t *nftables.Table) *nftables.Set {
	types := []nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService}
	if s.v6 {
		types[0] = nftables.TypeIP6Addr
	}
	set := &nftables.Set{Table: t, Name: s.name, KeyType: types[0], HasTimeout: true, Size: maxBlocks, KeyByteOrder: binaryutil.BigEndian}
	if s.parts > 1 {
		set.KeyType, set.Concatenation = nftables.MustConcatSetType(types[:s.parts]...), true
	}
	return set
}

// key is an element of the set: each part fills whole registers of four bytes.
func (s blockSet) key(addr netip.Addr, proto uint8, port uint16) []byte {
	k := addr.AsSlice()
	if s.parts > 1 {
		k = append(k, proto, 0, 0, 0)
	}
	if s.parts > 2 {
		k = append(binary.BigEndian.AppendUint16(k, port), 0, 0)
	}
	return k
}

// block reads an element.
func (s blockSet) block(e nftables.SetElement) (Block, error) {
	size := 4
	if s.v6 {
		size = 16
	}
	if len(e.Key) != size+4*(s.parts-1) {
		return Block{}, fmt.Errorf("a block in set %s has a key of %d bytes", s.name, len(e.Key))
	}
	addr, _ := netip.AddrFromSlice(e.Key[:size])
	b := Block{RemoteAddress: addr.String(), Protocol: "any", Direction: "out", Left: int64((e.Expires + time.Second - 1) / time.Second)}
	if s.in {
		b.Direction = "in"
	}
	if s.parts > 1 {
		b.Protocol = protoName(e.Key[size])
	}
	if s.parts > 2 {
		b.RemotePort = binary.BigEndian.Uint16(e.Key[size+4:])
	}
	return b, nil
}

func protoName(n uint8) string {
	switch n {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	}
	return fmt.Sprint(n)
}

// protocols are the numbers of tcp, udp or both.
func (r remote) protocols() []uint8 {
	switch r.proto {
	case "tcp":
		return []uint8{unix.IPPROTO_TCP}
	case "udp":
		return []uint8{unix.IPPROTO_UDP}
	}
	return []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP}
}

// elements are the elements of a set that a block is made of; mostly none.
func (r remote) elements(s blockSet) [][]byte {
	if s.v6 != r.addr.Is6() || s.in && !r.in || !s.in && !r.out {
		return nil
	}
	shape := 3
	switch {
	case r.port == 0 && r.proto == "any":
		shape = 1
	case r.port == 0:
		shape = 2
	}
	if s.parts != shape {
		return nil
	}
	if shape == 1 {
		return [][]byte{s.key(r.addr, 0, 0)}
	}
	var out [][]byte
	for _, p := range r.protocols() {
		out = append(out, s.key(r.addr, p, r.port))
	}
	return out
}

// rules are what a chain does for a set. What goes out is refused, so that a
// program learns of it at once; what comes in is dropped, so that nobody does.
func (s blockSet) rules(t *nftables.Table, chain *nftables.Chain, refuse bool) []*nftables.Rule {
	match := s.match()
	rule := func(middle []expr.Any, verdict expr.Any) *nftables.Rule {
		exprs := append(append(middle[:len(middle):len(middle)], match...), &expr.Counter{}, verdict)
		return &nftables.Rule{Table: t, Chain: chain, Exprs: exprs}
	}
	family := byte(unix.NFPROTO_IPV4)
	if s.v6 {
		family = unix.NFPROTO_IPV6
	}
	of := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
	}
	if s.in {
		// Our own refusals come in by lo, in the name of the other end.
		of = append(of, &expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(loopback)})
	}
	if s.in || !refuse {
		return []*nftables.Rule{rule(of, &expr.Verdict{Kind: expr.VerdictDrop})}
	}
	tcp := append(of[:len(of):len(of)],
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}})
	return []*nftables.Rule{
		rule(tcp, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}),
		rule(of, &expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}),
	}
}

// match loads the parts of the key into registers beside each other and looks
// them up.
func (s blockSet) match() []expr.Any {
	const first = 8 // NFT_REG32_00
	source, destination, size, next := uint32(12), uint32(16), uint32(4), uint32(first+1)
	if s.v6 {
		source, destination, size, next = 8, 24, 16, first+4
	}
	addr, port := destination, uint32(2)
	if s.in {
		addr, port = source, 0
	}
	m := []expr.Any{&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: addr, Len: size}}
	if s.parts > 1 {
		m = append(m, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: next})
	}
	if s.parts > 2 {
		m = append(m, &expr.Payload{DestRegister: next + 1, Base: expr.PayloadBaseTransportHeader, Offset: port, Len: 2})
	}
	return append(m, &expr.Lookup{SourceRegister: first, SetName: s.name})
}

// blockChain is where packets are looked at.
type blockChain struct {
	name     string
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	in, out  bool // whether it looks where they come from, where they go
	refuse   bool // whether a packet can be refused there
}

// blockChains look at packets before the machine's own filters, which may let
// them through for good; and where they go also before the destination is
// translated, since that is the address a program sees. What containers and
// guests send is forwarded.
func blockChains() []blockChain {
	own := *nftables.ChainPriorityFilter - 10
	early := *nftables.ChainPriorityNATDest - 10
	return []blockChain{
		{"output", nftables.ChainHookOutput, own, false, true, true},
		{"input", nftables.ChainHookInput, own, true, false, false},
		{"forward", nftables.ChainHookForward, own, true, true, true},
		{"output_early", nftables.ChainHookOutput, early, false, true, true},
		{"prerouting", nftables.ChainHookPrerouting, early, false, true, false},
	}
}

// filter is the packet filter of a network namespace.
type filter struct{ conn *nftables.Conn }

func openFilter(netns int) (*filter, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(netns))
	if err != nil {
		return nil, fmt.Errorf("open the packet filter: %w", err)
	}
	return &filter{conn}, nil
}

func table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: blockTable}
}

// prepare makes the table whole in one step, whatever of it is there; what is
// blocked stays blocked meanwhile.
func (f *filter) prepare() error {
	err := f.install(true)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		// A kernel without reject can still drop.
		err = f.install(false)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("the packet filter has another table inet %s already: %w; remove it with: nft delete table inet %s", blockTable, err, blockTable)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("set up the packet filter: %w; the agent needs root or CAP_NET_ADMIN", err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("set up the packet filter: this kernel has no nftables for inet: %w (%w)", ErrNotSupported, err)
	}
	return fmt.Errorf("set up the packet filter: %w", err)
}

func (f *filter) install(refuse bool) error {
	t := f.conn.AddTable(table())
	accept := nftables.ChainPolicyAccept
	chains := map[string]*nftables.Chain{}
	for _, c := range blockChains() {
		chain := &nftables.Chain{Name: c.name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: c.hook,
			Priority: nftables.ChainPriorityRef(c.priority), Policy: &accept}
		f.conn.AddChain(chain)
		f.conn.FlushChain(chain)
		chains[c.name] = chain
	}
	for _, s := range blockSets() {
		if err := f.conn.AddSet(s.set(t), nil); err != nil {
			return err
		}
		for _, c := range blockChains() {
			if s.in && !c.in || !s.in && !c.out {
				continue
			}
			for _, r := range s.rules(t, chains[c.name], refuse && c.refuse) {
				f.conn.AddRule(r)
			}
		}
	}
	return f.conn.Flush()
}

// there says whether the agent's table exists.
func (f *filter) there() (bool, error) {
	tables, err := f.conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("list the tables of the packet filter: %w", err)
	}
	for _, t := range tables {
		if t.Name == blockTable {
			return true, nil
		}
	}
	return false, nil
}

// elements lists what is in a set.
func (f *filter) elements(s blockSet) ([]nftables.SetElement, error) {
	els, err := f.conn.GetSetElements(s.set(table()))
	if err != nil {
		return nil, fmt.Errorf("read the blocks of set %s: %w", s.name, err)
	}
	return els, nil
}

// holds says how many of a block's elements there are, and how many it needs.
func (f *filter) holds(r remote) (have, want int, err error) {
	for _, s := range blockSets() {
		keys := r.elements(s)
		if len(keys) == 0 {
			continue
		}
		want += len(keys)
		els, err := f.elements(s)
		if err != nil {
			return have, want, err
		}
		for _, k := range keys {
			if has(els, k) {
				have++
			}
		}
	}
	return have, want, nil
}

func has(els []nftables.SetElement, key []byte) bool {
	for _, e := range els {
		if string(e.Key) == string(key) {
			return true
		}
	}
	return false
}

// change puts a block's elements in, or takes those that are there out, in one
// step. An element that is there is put in anew, for its time.
func (f *filter) change(r remote, in bool) error {
	for _, s := range blockSets() {
		keys := r.elements(s)
		if len(keys) == 0 {
			continue
		}
		els, err := f.elements(s)
		if err != nil {
			return err
		}
		set := s.set(table())
		for _, k := range keys {
			if has(els, k) {
				if err := f.conn.SetDeleteElements(set, []nftables.SetElement{{Key: k}}); err != nil {
					return err
				}
			}
			if in {
				if err := f.conn.SetAddElements(set, []nftables.SetElement{{Key: k, Timeout: r.span}}); err != nil {
					return err
				}
			}
		}
	}
	return f.conn.Flush()
}

// blocks lists all that is blocked.
func (f *filter) blocks() ([]Block, error) {
	there, err := f.there()
	if err != nil || !there {
		return nil, err
	}
	var out []Block
	var errs []error
	for _, s := range blockSets() {
		els, err := f.elements(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, e := range els {
			b, err := s.block(e)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			out = append(out, b)
		}
	}
	return out, errors.Join(errs...)
}
