// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ForgeTest} from "./support/ForgeTest.sol";
import {SettlementHandler} from "./support/SettlementHandler.sol";

contract SettlementInvariantTest is ForgeTest {
    SettlementHandler private _handler;

    function setUp() public {
        _handler = new SettlementHandler();
    }

    /// @dev forge calls only the handler.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_paidIsAtMostChargedIsAtMostDeposited() public view {
        vm.assertLe(_handler.paid(), _handler.charged(), "paid <= charged");
        vm.assertLe(_handler.charged(), _handler.deposited(), "charged <= deposited");
    }

    function invariant_everyTokenIsAccountedFor() public view {
        uint256 owed = _handler.charged() - _handler.paid();
        vm.assertEq(_handler.held(), _handler.balances() + owed, "held = balances + owed to nodes");
        vm.assertEq(
            _handler.deposited(), _handler.held() + _handler.paid() + _handler.withdrawn(), "nothing appears or vanishes"
        );
    }
}
