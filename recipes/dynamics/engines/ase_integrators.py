"""ASE's integrators with the degrees of freedom and the cell counted right, and with a state that can be saved.

- `Rescaling`: G. Bussi, D. Donadio, M. Parrinello, J. Chem. Phys. 126, 014101 (2007). ASE counts 3 N momenta, but the
  rescaling conserves the total momentum (and the angular momentum of a free molecule), which is zero here.
- `Chain`: G. J. Martyna, M. L. Klein, M. E. Tuckerman, J. Chem. Phys. 97, 2635 (1992), with N_f in place of ASE's 3 N:
  a chain that sees 3 N - 3 momenta and asks for 3 N of them keeps the system hotter by N / (N - 1).
- `ChainPiston`: G. J. Martyna, D. J. Tobias, M. L. Klein, J. Chem. Phys. 101, 4177 (1994), with N_f again, with a cell
  that moves along the modes of `cell_modes`, and with their number in the chain of the barostat. ASE asks for 9 k_B T
  of a symmetric cell momentum, which has 6 components: its cell is at 3/2 of the temperature.
- `LangevinPiston`: D. Quigley, M. I. J. Probert, J. Chem. Phys. 120, 11432 (2004), along the same modes. In eq. 5b,
  dp/dt = F - gamma p + noise - [p_g + Tr(p_g) I / N_f] p / W, ASE adds the trace to all nine elements instead of the
  diagonal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.md.bussi import Bussi
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.nose_hoover_chain import MTKNPT, MTKBarostat, NoseHooverChainNVT, NoseHooverChainThermostat
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.engines.cell_modes import projected
from dp_sim.recipes.dynamics.engines.protocol import State


class ConstantEnergy(VelocityVerlet):
    """Velocity Verlet."""

    def internal_state(self) -> State:
        """Return nothing: positions and momenta are all there is."""
        return {}

    def set_internal_state(self, state: State) -> None:
        """Take nothing."""

    def conserved_eV(self) -> float | None:
        """Return the total energy."""
        return float(self.atoms.get_total_energy())


class Langevin(LangevinBAOAB):
    """BAOAB; with `externalstress` and `hydrostatic` also the piston that changes the volume."""

    def internal_state(self) -> State:
        """Return the barostat's momentum and its last force.

        The next half step uses the force of the last one, computed before the momenta's last half step.
        """
        return {} if self.externalstress is None else {"barostat": np.array([self.p_eps, self.force_eps])}

    def set_internal_state(self, state: State) -> None:
        """Continue from `internal_state`."""
        if self.externalstress is not None:
            self.p_eps, self.force_eps = (float(number) for number in state["barostat"])

    def conserved_eV(self) -> float | None:
        """Return None: the heat of the random forces is not summed."""
        return None


class LangevinPiston(LangevinBAOAB):
    """Langevin dynamics of atoms and cell, the cell along the given modes.

    Parameters
    ----------
    atoms, timestep, **keywords
        As for `LangevinBAOAB`.
    modes
        (k, 3, 3) of `cell_modes`.
    """

    def __init__(self, atoms: Atoms, timestep: float, *, modes: NDArray[np.float64], **keywords: Any) -> None:
        self._modes = modes
        super().__init__(atoms, timestep, hydrostatic=False, **keywords)
        self.p_eps = np.zeros((3, 3))

    def _update_force_eps(self) -> None:
        super()._update_force_eps()
        self.force_eps: NDArray[np.float64] = projected(self.force_eps, self._modes)

    def _barostat_BAOAB_OU(self) -> None:
        noise = np.einsum("k,kij->ij", self.rng.normal(size=len(self._modes)), self._modes)
        self.p_eps = self.p_eps * np.exp(-self.barostat_gamma * self.dt) + self._barostat_BAOAB_prefactor * noise

    def _barostat_BAOAB_OU_gamma_mod(self) -> NDArray[np.float64]:
        drag: NDArray[np.float64] = (self.p_eps + np.trace(self.p_eps) / self.Ndof * np.eye(3)) / self.barostat_mass
        return drag

    def internal_state(self) -> State:
        """Return the cell's momentum and its last force."""
        return {"barostat": np.array([self.p_eps, self.force_eps])}

    def set_internal_state(self, state: State) -> None:
        """Continue from `internal_state`."""
        self.p_eps, self.force_eps = np.array(state["barostat"], dtype=np.float64)

    def conserved_eV(self) -> float | None:
        """Return None: the heat of the random forces is not summed."""
        return None


class Rescaling(Bussi):
    """Velocity Verlet with a random rescaling of all momenta.

    Parameters
    ----------
    atoms, timestep, temperature_K, taut, rng
        As for `Bussi`.
    degrees_of_freedom
        N_f: K follows the canonical distribution of N_f momenta (eq. A7).
    """

    def __init__(self, atoms: Atoms, timestep: float, *, degrees_of_freedom: int, **keywords: Any) -> None:
        super().__init__(atoms, timestep, **keywords)
        self.ndof = degrees_of_freedom
        self.target_kinetic_energy = 0.5 * self.temp * degrees_of_freedom

    def internal_state(self) -> State:
        """Return the energy that the thermostat has given."""
        return {"thermostat": np.array([self.transferred_energy])}

    def set_internal_state(self, state: State) -> None:
        """Continue from `internal_state`."""
        self.transferred_energy = float(state["thermostat"][0])

    def conserved_eV(self) -> float | None:
        """Return the total energy less what the thermostat has given (eq. 15)."""
        return float(self.atoms.get_total_energy() - self.transferred_energy)


def _chain(atoms: Atoms, temperature_K: float, time: float, degrees_of_freedom: int) -> NoseHooverChainThermostat:
    """Make a chain of three for N_f momenta; ASE's class counts them as 3 per atom."""
    return NoseHooverChainThermostat(
        num_atoms_global=degrees_of_freedom / 3,
        masses=atoms.get_masses()[:, None],
        temperature_K=temperature_K,
        tdamp=time,
    )


class Chain(NoseHooverChainNVT):
    """Nose-Hoover chain at constant volume.

    Parameters
    ----------
    atoms, timestep, temperature_K
        As for `NoseHooverChainNVT`.
    time
        tau of the chain, in ASE's unit: Q_1 = N_f k_B T tau^2, Q_j = k_B T tau^2.
    degrees_of_freedom
        N_f.
    """

    def __init__(
        self, atoms: Atoms, timestep: float, *, temperature_K: float, time: float, degrees_of_freedom: int
    ) -> None:
        super().__init__(atoms, timestep, temperature_K, time)
        self._thermostat = _chain(atoms, temperature_K, time, degrees_of_freedom)

    def internal_state(self) -> State:
        """Return positions and momenta of the chain."""
        return {"thermostat": np.array([self._thermostat._eta, self._thermostat._p_eta])}

    def set_internal_state(self, state: State) -> None:
        """Continue from `internal_state` and from the atoms as they are."""
        self._q, self._p = self.atoms.get_positions(), self.atoms.get_momenta()
        self._thermostat._eta, self._thermostat._p_eta = np.array(state["thermostat"], dtype=np.float64)

    def conserved_eV(self) -> float | None:
        """Return the energy of atoms and chain."""
        return float(self.atoms.get_total_energy() + self._thermostat.get_thermostat_energy())


class ChainPiston(MTKNPT):
    """Martyna, Tobias and Klein's barostat, the cell along the given modes, with chains on atoms and cell.

    In all four changes of the cell its mass is W_g = (N_f + 3) k_B T tau_b^2 / 3, per component of the cell's momentum
    p_g = W_g v. The centre of mass rests, N_f = 3 N - 3: the volumes of an ideal gas follow V^(N-1) exp(-p V / k_B T),
    and the mean of the instantaneous pressure is p. (With the isotropic cell the compressibility of phase space is
    3 N v for positions, -(N_f + 3) v for momenta and 3 v for V, together 3 v = (dV/dt) / V: a weight of 1 / V beside
    the positions' V^N. Where the centre of mass moves too, as in Langevin's dynamics, N_f = 3 N: a weight of V^N.)

    Parameters
    ----------
    atoms, timestep, temperature_K
        As for `MTKNPT`.
    pressure
        In eV/Angstrom^3.
    time, barostat_time
        tau of the atoms' chain, and tau_b of the cell's mass and chain, in ASE's unit.
    degrees_of_freedom
        N_f.
    modes
        (k, 3, 3) of `cell_modes`.
    """

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        *,
        temperature_K: float,
        pressure: float,
        time: float,
        barostat_time: float,
        degrees_of_freedom: int,
        modes: NDArray[np.float64],
    ) -> None:
        super().__init__(atoms, timestep, temperature_K, pressure, time, barostat_time)
        self._modes = modes
        self._num_atoms_global = degrees_of_freedom / 3
        self._thermostat = _chain(atoms, temperature_K, time, degrees_of_freedom)
        self._barostat = MTKBarostat(self._num_atoms_global, temperature_K, barostat_time)
        self._barostat._cell_dof = len(modes)
        self._barostat._R[0] = len(modes) * self._kT * barostat_time**2

    def _integrate_p_cell(self, delta: float) -> None:
        super()._integrate_p_cell(delta)
        self._p_g: NDArray[np.float64] = projected(self._p_g, self._modes)

    def internal_state(self) -> State:
        """Return the chain of the atoms, the chain of the cell, and the cell's momentum."""
        return {
            "thermostat": np.array([self._thermostat._eta, self._thermostat._p_eta]),
            "barostat_chain": np.array([self._barostat._xi, self._barostat._p_xi]),
            "barostat": self._p_g.copy(),
        }

    def set_internal_state(self, state: State) -> None:
        """Continue from `internal_state` and from the atoms as they are."""
        self._q, self._p = self.atoms.get_positions(), self.atoms.get_momenta()
        self._h = np.array(self.atoms.get_cell())
        self._thermostat._eta, self._thermostat._p_eta = np.array(state["thermostat"], dtype=np.float64)
        self._barostat._xi, self._barostat._p_xi = np.array(state["barostat_chain"], dtype=np.float64)
        self._p_g = np.array(state["barostat"], dtype=np.float64)

    def conserved_eV(self) -> float | None:
        """Return the enthalpy of the atoms with the energies of the cell and both chains."""
        return float(
            self.atoms.get_total_energy()
            + self._thermostat.get_thermostat_energy()
            + self._barostat.get_barostat_energy()
            + self._get_cell_kinetic_energy()
            + self._pressure_au * self._get_volume()
        )
