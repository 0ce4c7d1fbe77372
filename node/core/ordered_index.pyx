"""Members in the order of (score, member), with ranks: what is behind a large sorted set.

A B+tree of pointers to the entries of a member table (`member_table.pyx`), which carry their scores themselves.
A leaf holds up to 126 pointers, so an entry's place in the order costs about eleven bytes, and in order
they lie side by side. An inner node knows of each child its first entry, by which a search descends, and how many
entries are below it, by which ranks are counted.

A search is for a place between entries, a `Probe`: before which entries of such a score, such a member? Ranges
of every kind are two such places, and how many entries are before each (`tree_count`) are ranks.

Insertion splits full nodes on its way down, so that each split finds room above it, and one that finds no
memory leaves a whole tree behind. A leaf at either end of the order is split at its edge rather than in the middle: what
comes in order fills the leaves. Removal joins a node that is a quarter full with a neighbour.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memmove

from node.core.memory cimport BLOCK_OVERHEAD, malloc_usable_size, release, take

cdef enum:
    FEW_ITEMS = LEAF_ITEMS // 4
    FEW_CHILDREN = CHILDREN // 4
    MANY_NODES = 1 << 20

cdef struct Path:
    Inner* nodes[DEEPEST]      # from the root on
    uint32_t places[DEEPEST]   # which child was entered
    uint32_t length
    Leaf* leaf


# ----------------------------------------------------------------------------------------- the order


cdef inline int compare(const char* left, size_t left_length, const char* right, size_t right_length) noexcept nogil:
    cdef int order = memcmp(left, right, left_length if left_length < right_length else right_length)
    if order:
        return order
    return (left_length > right_length) - (left_length < right_length)


cdef bint is_before(double score, const char* text, size_t length, Probe* probe) noexcept nogil:
    """Is an entry before a probe?"""
    if probe.kind == BELOW_SCORE:
        return score < probe.score
    if probe.kind == UP_TO_SCORE:
        return score <= probe.score
    if probe.kind == BELOW_ENTRY:
        if score != probe.score:
            return score < probe.score
        return compare(text, length, probe.text, probe.length) < 0
    if probe.kind == BELOW_MEMBER:
        return compare(text, length, probe.text, probe.length) < 0
    return compare(text, length, probe.text, probe.length) <= 0


cdef inline uint32_t count_before(Member** members, uint32_t count, Probe* probe) noexcept nogil:
    """How many of some members in order are before a probe."""
    cdef uint32_t low = 0
    cdef uint32_t high = count
    cdef uint32_t middle
    cdef Member* member
    while low < high:
        middle = (low + high) // 2
        member = members[middle]
        if is_before(score_of(member)[0], key_of(member), member.key_length, probe):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void aim_at(Probe* probe, Member* member) noexcept nogil:
    probe.kind = BELOW_ENTRY
    probe.score = score_of(member)[0]
    probe.text = key_of(member)
    probe.length = member.key_length


# -------------------------------------------------------------------------------------------- nodes


cdef inline Leaf* as_leaf(Node* node) noexcept nogil:
    return <Leaf*>node


cdef inline Inner* as_inner(Node* node) noexcept nogil:
    return <Inner*>node


cdef inline Member* first_of(Node* node) noexcept nogil:
    return as_inner(node).firsts[0] if node.level else as_leaf(node).items[0]


cdef inline bint is_full(Node* node) noexcept nogil:
    return node.count == (CHILDREN if node.level else LEAF_ITEMS)


cdef Node* new_node(uint32_t level) except NULL:
    cdef Node* node = <Node*>take(sizeof(Inner) if level else sizeof(Leaf))
    if node == NULL:
        raise MemoryError
    node.count = 0
    node.level = level
    if level == 0:
        as_leaf(node).next = NULL
    return node


cdef uint64_t size_of(Node* node) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t i
    if node.level == 0:
        return node.count
    for i in range(node.count):
        total += as_inner(node).sizes[i]
    return total


cdef void open_gap(Inner* parent, uint32_t at) noexcept nogil:
    cdef size_t rest = parent.node.count - at
    memmove(&parent.children[at + 1], &parent.children[at], rest * sizeof(void*))
    memmove(&parent.sizes[at + 1], &parent.sizes[at], rest * sizeof(uint64_t))
    memmove(&parent.firsts[at + 1], &parent.firsts[at], rest * sizeof(void*))
    parent.node.count += 1


cdef void shut_gap(Inner* parent, uint32_t at) noexcept nogil:
    cdef size_t rest = parent.node.count - at - 1
    memmove(&parent.children[at], &parent.children[at + 1], rest * sizeof(void*))
    memmove(&parent.sizes[at], &parent.sizes[at + 1], rest * sizeof(uint64_t))
    memmove(&parent.firsts[at], &parent.firsts[at + 1], rest * sizeof(void*))
    parent.node.count -= 1


cdef void note(Inner* parent, uint32_t at) noexcept nogil:
    """Write down what a child has become."""
    parent.sizes[at] = size_of(parent.children[at])
    parent.firsts[at] = first_of(parent.children[at])


cdef void shift(Node* left, Node* right, int count) noexcept nogil:
    """Move `count` items or children from the start of `right` to the end of `left`; the other way round if
    it is negative."""
    cdef Inner* l = as_inner(left)
    cdef Inner* r = as_inner(right)
    if left.level == 0:
        shift_array(<void**>as_leaf(left).items, left.count, <void**>as_leaf(right).items, right.count, count)
    else:
        shift_array(<void**>l.children, left.count, <void**>r.children, right.count, count)
        shift_array(<void**>l.sizes, left.count, <void**>r.sizes, right.count, count)
        shift_array(<void**>l.firsts, left.count, <void**>r.firsts, right.count, count)
    left.count += count
    right.count -= count


cdef void shift_array(void** left, size_t lefts, void** right, size_t rights, int count) noexcept nogil:
    cdef size_t moved
    if count >= 0:
        moved = count
        memmove(left + lefts, right, moved * sizeof(void*))
        memmove(right, right + moved, (rights - moved) * sizeof(void*))
    else:
        moved = -count
        memmove(right + moved, right, rights * sizeof(void*))
        memmove(right, left + lefts - moved, moved * sizeof(void*))


# ---------------------------------------------------------------------------------------- insertion


cdef int split_child(Inner* parent, uint32_t at, Probe* coming) except -1:
    """Make two of a full child of a parent with room; `coming` is what will be inserted."""
    cdef Node* left = parent.children[at]
    cdef Node* right = new_node(left.level)
    cdef uint32_t kept = left.count // 2
    cdef uint32_t place
    if left.level == 0:
        place = count_before(as_leaf(left).items, left.count, coming)
        if place == 0:
            kept = 1
        elif place == left.count and as_leaf(left).next == NULL:
            kept = left.count - 1
        as_leaf(right).next = as_leaf(left).next
        as_leaf(left).next = as_leaf(right)
    shift(left, right, <int>kept - <int>left.count)
    open_gap(parent, at + 1)
    parent.children[at + 1] = right
    note(parent, at)
    note(parent, at + 1)
    return 0


cdef int grow_root(Tree* tree) except -1:
    cdef Node* root = new_node(tree.root.level + 1)
    root.count = 1
    as_inner(root).children[0] = tree.root
    note(as_inner(root), 0)
    tree.root = root
    return 0


cdef int tree_insert(Tree* tree, Member* member) except -1:
    """Add an entry. After MemoryError it is not in, and the tree is whole."""
    cdef Probe probe
    cdef Path path
    cdef Node* node
    cdef Inner* inner
    cdef uint32_t at, i
    aim_at(&probe, member)
    if tree.root == NULL:
        tree.root = new_node(0)
    elif is_full(tree.root):
        grow_root(tree)
    node = tree.root
    path.length = 0
    while node.level:
        inner = as_inner(node)
        at = count_before(inner.firsts, node.count, &probe)
        at -= at > 0
        if is_full(inner.children[at]):
            split_child(inner, at, &probe)
            at = count_before(inner.firsts, node.count, &probe)
            at -= at > 0
        path.nodes[path.length] = inner
        path.places[path.length] = at
        path.length += 1
        node = inner.children[at]
    at = count_before(as_leaf(node).items, node.count, &probe)
    memmove(
        &as_leaf(node).items[at + 1], &as_leaf(node).items[at], (node.count - at) * sizeof(Member*)
    )
    as_leaf(node).items[at] = member
    node.count += 1
    tree.used += 1
    for i in range(path.length):
        at = path.places[path.length - 1 - i]
        inner = path.nodes[path.length - 1 - i]
        inner.sizes[at] += 1
        inner.firsts[at] = first_of(inner.children[at])
    return 0


# ------------------------------------------------------------------------------------------ removal


cdef uint32_t find_path(Tree* tree, Member* member, Path* path) noexcept nogil:
    """The way to an entry that is there; returns its position in its leaf."""
    cdef Probe probe
    cdef Node* node = tree.root
    cdef Inner* inner
    cdef uint32_t at
    aim_at(&probe, member)
    path.length = 0
    while node.level:
        inner = as_inner(node)
        at = count_before(inner.firsts, node.count, &probe)
        if at == node.count or inner.firsts[at] != member:
            at -= 1
        path.nodes[path.length] = inner
        path.places[path.length] = at
        path.length += 1
        node = inner.children[at]
    path.leaf = as_leaf(node)
    return count_before(path.leaf.items, node.count, &probe)


cdef void join(Inner* parent, uint32_t at) noexcept nogil:
    """Make one of a child and the next, or, where they are too many for one, share equally."""
    cdef Node* left = parent.children[at]
    cdef Node* right = parent.children[at + 1]
    cdef int both = left.count + right.count
    if both <= (CHILDREN if left.level else LEAF_ITEMS):
        shift(left, right, right.count)
        if left.level == 0:
            as_leaf(left).next = as_leaf(right).next
        release(right)
        shut_gap(parent, at + 1)
    else:
        shift(left, right, both // 2 - left.count)
        note(parent, at + 1)
    note(parent, at)


cdef void tree_remove(Tree* tree, Member* member) noexcept nogil:
    """Take out an entry that is there."""
    cdef Path path
    cdef Node* node
    cdef Inner* inner
    cdef uint32_t i
    cdef uint32_t at = find_path(tree, member, &path)
    node = &path.leaf.node
    memmove(&path.leaf.items[at], &path.leaf.items[at + 1], (node.count - at - 1) * sizeof(Member*))
    node.count -= 1
    tree.used -= 1
    for i in range(path.length):
        at = path.places[path.length - 1 - i]
        inner = path.nodes[path.length - 1 - i]
        node = inner.children[at]
        inner.sizes[at] -= 1
        if node.count < (FEW_CHILDREN if node.level else FEW_ITEMS) and inner.node.count > 1:
            join(inner, at if at + 1 < inner.node.count else at - 1)
        elif node.count:
            inner.firsts[at] = first_of(node)
    while tree.root.level and tree.root.count == 1:
        node = as_inner(tree.root).children[0]
        release(tree.root)
        tree.root = node
    if tree.used == 0:
        tree_clear(tree)


cdef int tree_move(Tree* tree, Member* member, double score) except -1:
    """Give an entry that is there another score."""
    cdef Path path
    cdef Probe probe
    cdef uint32_t at = find_path(tree, member, &path)
    cdef double old = score_of(member)[0]
    if 0 < at < <uint32_t>path.leaf.node.count - 1:
        aim_at(&probe, member)
        probe.score = score
        if count_before(&path.leaf.items[at - 1], 1, &probe) and not count_before(
            &path.leaf.items[at + 1], 1, &probe
        ):
            score_of(member)[0] = score
            return 0
    tree_remove(tree, member)
    score_of(member)[0] = score
    try:
        return tree_insert(tree, member)
    except MemoryError:
        score_of(member)[0] = old
        raise


cdef void tree_clear(Tree* tree) noexcept nogil:
    """Release all nodes, not the entries."""
    while tree.root != NULL:
        tree_shed(tree, MANY_NODES)
    tree.used = 0


cdef size_t tree_shed(Tree* tree, size_t limit) noexcept nogil:
    """Release up to `limit` nodes, from the last on, not the entries; returns how many it were. Between the first
    such call and the last the tree is good for nothing else."""
    cdef size_t shed = 0
    cdef Node* node
    cdef Node* parent
    while tree.root != NULL and shed < limit:
        node = tree.root
        parent = NULL
        while node.level and node.count:
            parent = node
            node = as_inner(node).children[node.count - 1]
        release(node)
        shed += 1
        if parent == NULL:
            tree.root = NULL
        else:
            parent.count -= 1
    return shed


# ----------------------------------------------------------------------------------- ranks and places


cdef uint64_t tree_count(Tree* tree, Probe* probe) noexcept nogil:
    """How many entries are before a probe."""
    cdef Node* node = tree.root
    cdef uint64_t total = 0
    cdef uint32_t at, i
    if node == NULL:
        return 0
    while node.level:
        at = count_before(as_inner(node).firsts, node.count, probe)
        if at == 0:
            return total
        for i in range(at - 1):
            total += as_inner(node).sizes[i]
        node = as_inner(node).children[at - 1]
    return total + count_before(as_leaf(node).items, node.count, probe)


cdef void tree_at(Tree* tree, uint64_t rank, Place* place) noexcept nogil:
    """The place of an entry of a rank of 0..used-1; from there `tree_next` goes on."""
    cdef Node* node = tree.root
    cdef uint32_t at
    while node.level:
        at = 0
        while rank >= as_inner(node).sizes[at]:
            rank -= as_inner(node).sizes[at]
            at += 1
        node = as_inner(node).children[at]
    place.leaf = as_leaf(node)
    place.position = <uint32_t>rank


cdef Member* tree_next(Place* place) noexcept nogil:
    """The entry at a place, which moves on to the next; NULL behind the last."""
    cdef Member* member
    if place.leaf == NULL:
        return NULL
    member = place.leaf.items[place.position]
    place.position += 1
    if place.position == place.leaf.node.count:
        place.leaf = place.leaf.next
        place.position = 0
    return member


cdef size_t bytes_below(Node* node) noexcept nogil:
    cdef size_t total = malloc_usable_size(node) + BLOCK_OVERHEAD
    cdef uint32_t i
    if node.level:
        for i in range(node.count):
            total += bytes_below(as_inner(node).children[i])
    return total


cdef size_t tree_bytes(Tree* tree) noexcept nogil:
    """What the nodes take, not the entries."""
    return 0 if tree.root == NULL else bytes_below(tree.root)
