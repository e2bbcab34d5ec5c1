"""Puzzles of rooms_keys_doors_puzzle: the very ones that DeepMind Lab makes of the same seed.

Follows `map_generators/keys_doors/{configs,gen,room,room_grid,objects_and_map}.lua` of commit
b1db91a, draw by draw. Rooms lie on a grid of 3 x 3; a core sequence of one to three doors leads to
the goal. Trap and red herring rooms waste the keys of that sequence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.labsim.mersenne_twister import MersenneTwister

COLOURS = ("red", "green", "blue", "black", "white")
NO_DOOR = -1  # a connection without a door
ROOMS_ACROSS = 3  # and as many along the other side of the grid
ROOM_ROWS, ROOM_COLUMNS = 2, 3  # cells of a room; one more separates it from its neighbour
BORDER = 2  # cells of wall around all rooms
ROWS = ROOMS_ACROSS * (ROOM_ROWS + 1) - 1 + 2 * BORDER  # of the largest map
COLUMNS = ROOMS_ACROSS * (ROOM_COLUMNS + 1) - 1 + 2 * BORDER
OBJECTS_PER_ROOM = 2
MAX_KEYS = 5  # core 3, trap 1, useless 1
MAX_DOORS = 9  # core 3, trap 1, red herring 1, easy extra 1, extra 3
GOAL = -1  # among the objects of a room; a key is there with its colour
SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))  # of a room: east, south, west, north
DOOR_ORDER = ((1, 0), (0, 1), (-1, 0), (0, -1))  # in which extra doors are tried

TRAP_CHANCE, RED_HERRING_CHANCE = 0.5, 0.5  # while the core sequence is being built
EMPTY_ROOM_CHANCE = (0.8, 0.5, 0.0)  # for core sequences of length 1, 2, 3
NUM_UNOPENABLE_DOORS = 2

Spot = tuple[int, int]  # row and column: of rooms from the north, of cells from the south


class Puzzle(NamedTuple):
    """A map in cells; row 0 is the southernmost, column 0 the westernmost."""

    open_cells: NDArray[np.bool_]  # [ROWS, COLUMNS] doors' cells are open
    # Row, column, colour (index of COLOURS) of each, north to south, then west to east.
    keys: NDArray[np.int64]  # [num_keys, 3]
    doors: NDArray[np.int64]  # [num_doors, 4] and whether the passage runs from east to west
    goal: Spot
    start: Spot


def make_puzzle(seed: int) -> Puzzle:
    """The puzzle of a level script's seed, 1 .. 2^31 - 1; always solvable."""
    random = MersenneTwister(seed)
    _Attempt(random)  # DeepMind Lab draws the parameters of the first attempt twice
    while True:
        attempt = _Attempt(random)
        if attempt.make():
            return _to_cells(attempt)


class _Room:
    def __init__(self, spot: Spot, objects_swapped: bool) -> None:
        self.spot = spot
        self.objects: list[int] = []
        self.objects_swapped = objects_swapped  # the first one lies in the west, unless swapped
        self.core_index = -1  # of its door in the core sequence


class _Attempt:
    """Rooms and connections while a puzzle is being made."""

    def __init__(self, random: MersenneTwister) -> None:
        self.random = random
        # Each number is drawn in this order, before anything else.
        self.core_length = random.integer(1, 3)
        self.num_easy_rooms = random.integer(0, 1)
        self.num_useless_keys = random.integer(0, 1)
        self.num_openable_doors = random.integer(0, 1)
        self.rooms: list[_Room] = []
        self.at: dict[Spot, _Room] = {}
        self.connections: dict[tuple[Spot, Spot], int] = {}  # both ways; colour or NO_DOOR
        self.trap: _Room | None = None
        self.red_herring: _Room | None = None

    def make(self) -> bool:
        """Try to make all rooms; False if a core room found no place."""
        random = self.random
        free = list(range(len(COLOURS)))
        self.core = [free.pop(random.integer(0, len(free) - 1)) for _ in range(self.core_length)]
        self.start = (random.integer(0, ROOMS_ACROSS - 1), random.integer(0, ROOMS_ACROSS - 1))
        if not self._add_core_rooms():
            return False
        for _ in range(self.num_easy_rooms):
            colour = self._choice(free)
            place = self._attach()
            if place is not None:
                self._add_room(*place, colour)
        if self.red_herring is None:
            self._add_red_herring()
        unopenable = self._add_extra_doors(NUM_UNOPENABLE_DOORS, free)
        self._add_extra_doors(self.num_openable_doors, self.core)
        useless = [colour for colour in free if colour not in unopenable]
        for _ in range(self.num_useless_keys):
            room = self._key_room(self.rooms)
            if room is not None and useless:
                room.objects.append(self._choice(useless))
        return True

    def _choice(self, values: list[int]) -> int:
        return values[self.random.integer(0, len(values) - 1)]

    # Rooms.

    def _add_core_rooms(self) -> bool:
        random = self.random
        last = self._add_room(None, self.start)
        core_rooms = [last]
        trap_candidates = []
        empty_rooms = 0
        for k, colour in enumerate(self.core):
            if empty_rooms == 0 and random.real() <= EMPTY_ROOM_CHANCE[self.core_length - 1]:
                spot = self._free_spot(last)
                if spot is not None:
                    last = self._add_room(last, spot)
                    empty_rooms += 1
            herring_before = herring_after = False
            if random.real() <= RED_HERRING_CHANCE:
                herring_before = random.integer(0, 1) == 0
                herring_after = not herring_before
            if herring_before:
                self._add_red_herring()
            place, key_room = self._place_core_room(last, k)
            if place is None:
                return False
            key_room.objects.append(colour)
            room = self._add_room(*place, colour)
            room.core_index = k
            if len(core_rooms) > 1 and place[0] is last:
                trap_candidates.append(core_rooms[-1])
                if random.real() <= TRAP_CHANCE:
                    self._add_trap(core_rooms[-1])
            last = room
            core_rooms.append(room)
            if k == self.core_length - 1:
                room.objects.append(GOAL)
            if herring_after:
                self._add_red_herring()
        for candidate in trap_candidates:
            self._add_trap(candidate)
        return True

    def _place_core_room(self, last: _Room, k: int) -> tuple[tuple[_Room, Spot] | None, _Room]:
        """Where to attach core room k (None: nowhere), and the room that gets its key."""
        key_first = self.random.integer(1, 2) == 2  # the key, not the door, is in the last room
        spot = self._free_spot(last)
        at_last = (last, spot) if spot is not None else None
        if not key_first and at_last is not None:
            # There always is one: nothing has been put into the last room yet.
            return at_last, self._key_room(self._honest_rooms()) or last
        if self.trap is None and k == self.core_length - 1:
            return at_last, last
        return self._attach(self._honest_rooms()), last

    def _add_room(self, entry: _Room | None, spot: Spot, colour: int = NO_DOOR) -> _Room:
        """Add a room at a spot, connected to another (None: to none) by a door of a colour."""
        room = _Room(spot, objects_swapped=self.random.integer(0, 1) == 1)
        self.rooms.append(room)
        self.at[spot] = room
        if entry is not None:
            self._connect(entry.spot, spot, colour)
        return room

    def _connect(self, one: Spot, other: Spot, colour: int) -> None:
        self.connections[one, other] = self.connections[other, one] = colour

    def _add_trap(self, rival: _Room) -> None:
        """Add a room that takes the key to a core room and offers one to a later core room."""
        k = rival.core_index
        if self.trap is not None or k == self.core_length - 1:
            return
        place = self._attach(self.rooms[: self.rooms.index(rival)])
        if place is not None:
            self.trap = self._add_room(*place, self.core[k])
            self.trap.objects.append(self._choice(self.core[k + 1 :]))

    def _add_red_herring(self) -> None:
        """Add a room that takes a core key and offers nothing."""
        if self.red_herring is None:
            colour = self._choice(self.core)
            place = self._attach()
            if place is not None:
                self.red_herring = self._add_room(*place, colour)

    def _add_extra_doors(self, count: int, colours: list[int]) -> set[int]:
        """Add doors between neighbours without a connection; return the colours used."""
        rooms, used = self.rooms.copy(), set[int]()
        for k in range(len(rooms)):
            other = self.random.integer(k, len(rooms) - 1)
            rooms[k], rooms[other] = rooms[other], rooms[k]
        added = 0
        for spot in (room.spot for room in rooms):
            for side in DOOR_ORDER:
                neighbour = spot[0] + side[0], spot[1] + side[1]
                if added == count:
                    return used
                if neighbour in self.at and (spot, neighbour) not in self.connections:
                    colour = self._choice(colours)
                    self._connect(spot, neighbour, colour)
                    used.add(colour)
                    added += 1
        return used

    # Where there is room for more.

    def _honest_rooms(self) -> list[_Room]:
        """The rooms that may hold core keys and lead on: neither trap nor red herring."""
        return [room for room in self.rooms if room not in (self.trap, self.red_herring)]

    def _key_room(self, rooms: list[_Room]) -> _Room | None:
        rooms = [room for room in rooms if len(room.objects) < OBJECTS_PER_ROOM]
        return rooms[self.random.integer(0, len(rooms) - 1)] if rooms else None

    def _free_spot(self, room: _Room) -> Spot | None:
        """An unused spot next to a room, one of the closest to the start."""
        row, column = room.spot
        spots = [
            spot
            for spot in ((row + down, column + right) for down, right in SIDES)
            if spot not in self.at and min(spot) >= 0 and max(spot) < ROOMS_ACROSS
        ]
        return spots[self._closest(spots)] if spots else None

    def _attach(self, rooms: list[_Room] | None = None) -> tuple[_Room, Spot] | None:
        """A room of those given (None: all) and the spot next to it for a new one."""
        places = []
        for room in self.rooms if rooms is None else rooms:
            spot = self._free_spot(room)
            if spot is not None:
                places.append((room, spot))
        return places[self._closest([spot for _, spot in places])] if places else None

    def _closest(self, spots: list[Spot]) -> int:
        """Draw the index of one of the spots that are closest to the start."""
        row, column = self.start
        squares = [
            ((ROOM_ROWS + 1) * (i - row)) ** 2 + ((ROOM_COLUMNS + 1) * (j - column)) ** 2
            for i, j in spots
        ]
        closest = [k for k, square in enumerate(squares) if square == min(squares)]
        return closest[self.random.integer(0, len(closest) - 1)]


def _to_cells(attempt: _Attempt) -> Puzzle:
    """Lay the rooms out in cells; only the bounding box of all rooms counts."""
    north, west = (min(room.spot[axis] for room in attempt.rooms) for axis in (0, 1))
    height = max(room.spot[0] for room in attempt.rooms) - north + 1
    top_row = height * (ROOM_ROWS + 1) - 2 + BORDER  # upper row of cells of the northern rooms

    def upper_left(spot: Spot) -> Spot:
        row, column = spot[0] - north, spot[1] - west
        return top_row - row * (ROOM_ROWS + 1), column * (ROOM_COLUMNS + 1) + BORDER

    open_cells = np.zeros((ROWS, COLUMNS), np.bool_)
    keys: list[tuple[int, ...]] = []
    doors: list[tuple[int, ...]] = []
    goal = (0, 0)
    for room in attempt.rooms:
        row, column = upper_left(room.spot)
        open_cells[row - 1 : row + 1, column : column + ROOM_COLUMNS] = True
        for k, item in enumerate(room.objects):
            cell = (row - 1, column + (2 if (k == 1) != room.objects_swapped else 0))
            if item == GOAL:
                goal = cell
            else:
                keys.append((*cell, item))
    for (one, other), colour in attempt.connections.items():
        row, column = upper_left(one)
        if one > other:
            continue  # each connection is listed both ways; this is the one from north or west
        is_east_west = one[0] == other[0]
        cell = (row, column + ROOM_COLUMNS) if is_east_west else (row - 2, column + 1)
        open_cells[cell] = True
        if colour != NO_DOOR:
            doors.append((*cell, colour, int(is_east_west)))
    row, column = upper_left(attempt.start)
    starts = ((row, column), (row, column + 1), (row, column + 2), (row - 1, column + 1))
    return Puzzle(
        open_cells=open_cells,
        keys=_in_reading_order(keys, 3),
        doors=_in_reading_order(doors, 4),
        goal=goal,
        start=starts[attempt.random.integer(0, 3)],
    )


def _in_reading_order(rows: list[tuple[int, ...]], width: int) -> NDArray[np.int64]:
    """Sort by row from the north, then by column from the west: [len(rows), width]."""
    rows = sorted(rows, key=lambda row: (-row[0], row[1]))
    return np.array(rows, np.int64).reshape(-1, width)
