"""MW-ISPNet, the winner of the AIM 2020 learned ISP challenge."""
