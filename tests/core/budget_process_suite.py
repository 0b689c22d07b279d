"""What stores of counters promise that are shared by processes: killed ones, forked ones, and many at once."""

import pickle
import subprocess
import sys
import textwrap
import time

from tuppence.spend.budgets.counters import Counters

from .budget_suite import HOUR, NOW, BudgetSuite, reserve, standing

_PROGRAM = """
import os, random, sys, time
from tuppence.effects import Charge, Granted, Release, Reserve
from tuppence.spend.budgets.opening import open_counters

store = open_counters(sys.argv[1])
dice = random.Random(os.getpid())
charge = Charge("month/2026-11", "month", int(sys.argv[2]), float(sys.argv[3]))
spent = 0
for turn in range(int(sys.argv[4])):
    hold = f"{os.getpid()}-{turn}"
    if store.reserve(Reserve(store, hold, (charge,), 50, time.time())) == Granted():
        cost = dice.randint(0, 50)
        spent += cost
        store.release(Release(store, hold, (charge,), cost))
        print(hold, cost, flush=True)
store.reserve(Reserve(store, f"{os.getpid()}-last", (charge,), 10, time.time()))
print("spent", spent, flush=True)
"""


class SharedBudgetSuite(BudgetSuite):
    """For stores of many processes: give it a fixture `place` as well, what `Budgets` opens them by."""

    def test_processes_together_never_pass_the_limit(self, place: str, store: Counters) -> None:
        """Each ends with releases under way, which are carried out at its exit; what it never closed is swept."""
        programs = [self._start(place, 2000, 40) for _ in range(3)]
        outputs = [program.communicate(timeout=120)[0] for program in programs]
        assert [program.returncode for program in programs] == [0, 0, 0]
        spent = sum(int(output.split()[-1]) for output in outputs)
        counted, held = standing(store)
        assert (counted, held % 10) == (spent, 0)
        store.sweep(time.time() + 1, time.time())
        assert standing(store) == (spent, 0)
        assert spent <= 2000

    def test_a_process_that_is_killed_leaves_nothing_behind_after_the_sweep(self, place: str, store: Counters) -> None:
        """What it had released is counted, all but the last moments; nothing stays held, nothing is counted twice."""
        program = self._start(place, 10**9, 10**6)
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(200)]
        program.kill()
        lines += program.stdout.read().splitlines()
        program.wait()
        program.stdout.close()
        costs = [int(line.split()[1]) for line in lines if len(line.split()) == 2]
        store.sweep(time.time() + 1, time.time())
        spent, held = standing(store)
        assert held == 0
        assert sum(costs[:100]) <= spent <= sum(costs) + 50

    def test_a_forked_child_reserves_and_leaves_its_parents_releases_alone(self, place: str) -> None:
        """Both go on with the same counters; each carries out its own."""
        program = f"""
            import os, sys
            {textwrap.indent(_PROGRAM.strip(), " " * 12).strip()}
            for turn in range(20):
                store.reserve(Reserve(store, f"before-{{turn}}", (charge,), 5, time.time()))
                store.release(Release(store, f"before-{{turn}}", (charge,), 1))
                child = os.fork()
                if not child:
                    store.reserve(Reserve(store, f"child-{{turn}}", (charge,), 5, time.time()))
                    store.release(Release(store, f"child-{{turn}}", (charge,), 2))
                    store.flush()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            store.flush()
            (count,) = store.counts()
            assert (count.spent, count.held) == (60, 10), count
            store.close()
        """
        done = self._start(place, 10**9, 0, textwrap.dedent(program))
        output, _ = done.communicate(timeout=120)
        assert done.returncode == 0, output

    def test_a_process_may_fork_while_its_threads_reserve(self, place: str) -> None:
        """No lock that a thread holds at that moment is held in the child for ever."""
        program = """
            import os, sys, threading, time
            from tuppence.effects import Charge, Release, Reserve
            from tuppence.spend.budgets.opening import open_counters

            store = open_counters(sys.argv[1])
            charge = Charge("month/2026-11", "month", int(sys.argv[2]), float(sys.argv[3]))
            begun, enough, spent = threading.Barrier(5), threading.Event(), []

            def call(hold):
                store.reserve(Reserve(store, hold, (charge,), 50, time.time()))
                store.release(Release(store, hold, (charge,), 1))

            def work(worker):
                call(f"first-{worker}")
                begun.wait()
                turn = 0
                while not enough.wait(0.001):
                    turn += 1
                    call(f"{worker}-{turn}")
                spent.append(turn + 1)

            threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
            for thread in threads:
                thread.start()
            begun.wait()
            store.flush()
            for turn in range(15):
                child = os.fork()
                if not child:
                    call(f"child-{turn}")
                    store.flush()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            enough.set()
            for thread in threads:
                thread.join()
            store.flush()
            (count,) = store.counts()
            assert (count.spent, count.held) == (sum(spent) + 15, 0), count
            store.close()
        """
        done = self._start(place, 10**9, 0, textwrap.dedent(program))
        output, _ = done.communicate(timeout=120)
        assert done.returncode == 0, output

    def test_counters_travel_to_another_process_as_their_address(self, store: Counters) -> None:
        """And find the same counts there."""
        store.reserve(reserve(store, "h1", 7))
        travelled = pickle.loads(pickle.dumps(store))
        try:
            assert standing(travelled) == (0, 7)
        finally:
            travelled.close()

    def _start(self, place: str, limit: int, turns: int, program: str = _PROGRAM) -> "subprocess.Popen[str]":
        arguments = [str(place), str(limit), str(NOW + HOUR), str(turns)]
        return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)
