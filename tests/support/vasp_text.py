"""VASP's OUTCAR and vasprun.xml of two copper atoms, line by line as VASP 6 lays them out, with what tests vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Number of the electronic steps that VASP may take.
NELM = 60
CELL = np.diag([3.6, 3.6, 3.6])
POSITIONS = np.array([[0.0, 0.0, 0.0], [1.8, 1.8, 0.1]])
FORCES = np.array([[0.1, -0.2, 0.3], [-0.1, 0.2, -0.3]])
#: As VASP prints it, kbar: xx yy zz xy yz zx.
KBAR = (10.0, 20.0, 30.0, 1.0, 2.0, 3.0)

_RULE = "-" * 104
_HEADER = """ vasp.6.3.2 27Jun22 (build Mar 01 2023 12:00:00) complex

 executed on             LinuxIFC date 2024.01.01  00:00:00
 running on    4 total cores
 POTCAR:    PAW_PBE Cu 22Jun2005
 POTCAR:    PAW_PBE Cu 22Jun2005
   VRHFIN =Cu: d10 p1

 Dimension of arrays:
   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      4
   ISPIN  =      1    spin polarized calculation?
   NELM   =     {nelm};   NELMIN=  2; NELMDL= -5     # of ELM steps
   EDIFF  = 0.1E-05   stopping-criterion for ELM
   ions per type =               2

 k-points in reciprocal lattice and weights: Gamma
   0.00000000  0.00000000  0.00000000       1.000
"""


@dataclass(frozen=True)
class IonicStep:
    """One ionic step: electronic steps taken, whether VASP says that EDIFF was reached, and both energies (eV)."""

    electronic: int = 12
    reached: bool = True
    free_energy: float = -7.50
    energy: float = -7.45


def outcar(steps: list[IonicStep], *, says: bool = True) -> str:
    """An OUTCAR; `says` false leaves out the line about EDIFF, as shortened files have it."""
    text = [_HEADER.format(nelm=NELM)]
    for number, step in enumerate(steps, start=1):
        for electronic in range(1, step.electronic + 1):
            text.append(f"\n{'-' * 39} Iteration {number:6d}({electronic:4d})  {'-' * 39}\n")
        reached = "because EDIFF is reached" if step.reached else "EDIFF was not reached (unconverged)"
        if says:
            text.append(f"{'-' * 24} aborting loop {reached} {'-' * 40}\n")
        text.append(_ionic_step(step))
    return "".join(text)


def _ionic_step(step: IonicStep) -> str:
    vectors = np.hstack([CELL, np.linalg.inv(CELL)])
    lattice = "\n".join("   " + "".join(f"{x:13.9f}" for x in row) for row in vectors)
    atoms = "\n".join(
        "".join(f"{x:13.5f}" for x in position) + "    " + "".join(f"{x:14.6f}" for x in force)
        for position, force in zip(POSITIONS, FORCES, strict=True)
    )
    parts = ("Alpha Z", "Ewald", "Hartree", "E(xc)", "Local", "n-local", "augment", "Kinetic", "Fock")
    contributions = "\n".join(f"  {part:8}" + "     0.00000" * 6 for part in parts)
    return f"""
  FORCE on cell =-STRESS in cart. coord.  units (eV):
  Direction    XX          YY          ZZ          XY          YZ          ZX
  {_RULE[:86]}
{contributions}
  {_RULE[:86]}
  Total   {"".join(f"{x * np.linalg.det(CELL) / 1602.1766:12.5f}" for x in KBAR)}
  in kB   {"".join(f"{x:12.5f}" for x in KBAR)}
  external pressure =       20.00 kB  Pullay stress =        0.00 kB

 VOLUME and BASIS-vectors are now :
 {_RULE}
  energy-cutoff  :      400.00
  volume of cell :       46.66
      direct lattice vectors                 reciprocal lattice vectors
{lattice}

 POSITION                                       TOTAL-FORCE (eV/Angst)
 {"-" * 83}
{atoms}
 {"-" * 83}
    total drift:                                0.000000      0.000000      0.000000

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =  {step.free_energy:20.8f} eV

  energy  without entropy={step.energy + 0.05:18.8f}  energy(sigma->0) ={step.energy:18.8f}

"""


def vasprun(steps: list[IonicStep]) -> str:
    """A vasprun.xml."""
    basis = "".join(f"<v>{' '.join(map(str, row))}</v>" for row in CELL)
    positions = "".join(f"<v>{' '.join(map(str, row))}</v>" for row in POSITIONS / 3.6)
    structure = f'<crystal><varray name="basis">{basis}</varray></crystal><varray name="positions">{positions}</varray>'
    forces = "".join(f"<v>{' '.join(map(str, row))}</v>" for row in FORCES)
    xx, yy, zz, xy, yz, zx = KBAR
    stress = "".join(f"<v>{a} {b} {c}</v>" for a, b, c in ((xx, xy, zx), (xy, yy, yz), (zx, yz, zz)))

    def energies(step: IonicStep) -> str:
        names = {"e_fr_energy": step.free_energy, "e_wo_entrp": step.energy + 0.05, "e_0_energy": step.energy}
        return "<energy>" + "".join(f'<i name="{name}">{value:.8f}</i>' for name, value in names.items()) + "</energy>"

    calculations = "".join(
        f"<calculation>{f'<scstep>{energies(step)}</scstep>' * step.electronic}"
        f'<structure>{structure}</structure><varray name="forces">{forces}</varray>'
        f'<varray name="stress">{stress}</varray>{energies(step)}</calculation>'
        for step in steps
    )
    atoms = '<array name="atoms"><set><rc><c>Cu</c><c>1</c></rc><rc><c>Cu</c><c>1</c></rc></set></array>'
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
<incar><i type="int" name="NELM">{NELM}</i></incar>
<kpoints><generation param="Gamma"/>
<varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints>
<parameters><i type="int" name="NELM">{NELM}</i></parameters>
<atominfo><atoms>2</atoms>{atoms}</atominfo>
<structure name="initialpos">{structure}</structure>
{calculations}
</modeling>
"""
