"""The table of a campaign on its page."""

from dp_sim.recipes.campaigns.result import CampaignResult
from dp_sim.recipes.results.quantity_table import tables_of


def test_each_recipe_has_its_own_first_numbers_with_their_errors():
    table = {
        "task": ["1-opt", "2-eos", "3-eos"],
        "recipe": ["opt", "eos", "eos"],
        "state": ["done"] * 3,
        "cause": [""] * 3,
        "outcome": ["", "the fit holds", "the fit holds"],
        "wall_s": [1.0] * 3,
        "energy (eV)": [-0.0070353, None, None],
        "volume (Angstrom^3)": [11.56484, 11.664, 11.664],  # of eos the first volume, which is no result
        "bulk_modulus (GPa)": [None, 134.39210, 134.38984],
        "bulk_modulus_error (GPa)": [None, 0.0097, 0.021],
    }
    headlines = {"opt": ["energy (eV)", "volume (Angstrom^3)"], "eos": ["bulk_modulus (GPa)"]}
    opt, eos = tables_of(CampaignResult(converged=True, table=table, headlines=headlines).to_dict())
    assert opt.header == ["task", "state", "energy (eV)", "volume (Å³)"]
    assert opt.rows == [["1-opt", "done", "-0.007035", "11.56"]]
    assert eos.header == ["task", "state", "bulk modulus (GPa)", "± (GPa)", "outcome"]
    assert eos.rows[0] == ["2-eos", "done", "134.392", "0.0097", "the fit holds"]
